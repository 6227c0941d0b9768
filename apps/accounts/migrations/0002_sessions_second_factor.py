import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


def forget_former_sessions(apps, schema_editor):
    """Their engine is gone: nobody could end them, and none signs in any more."""
    apps.get_model("sessions", "Session").objects.all().delete()


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0001_initial'),
        ('sessions', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='OpenSession',
            fields=[
                ('session_key', models.CharField(max_length=40, primary_key=True, serialize=False, verbose_name='session key')),
                ('session_data', models.TextField(verbose_name='session data')),
                ('expire_date', models.DateTimeField(db_index=True, verbose_name='expire date')),
                ('signed_in_at', models.DateTimeField(null=True)),
                ('address', models.CharField(default='', max_length=45)),
                ('browser', models.CharField(default='', max_length=40)),
                ('user', models.ForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='open_sessions', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'session',
                'verbose_name_plural': 'sessions',
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='SecondFactor',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('sealed', models.CharField(editable=False, max_length=80)),
                ('confirmed_at', models.DateTimeField(null=True, verbose_name='on since')),
                ('last_step', models.BigIntegerField(default=0, editable=False, help_text='The last half minute whose code was taken: each counts once.')),
                ('recovery', models.JSONField(default=list, editable=False, help_text='Digests of the recovery codes that are left.')),
                ('user', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='second_factor', to=settings.AUTH_USER_MODEL, verbose_name='user')),
            ],
            options={
                'verbose_name': 'second factor',
                'verbose_name_plural': 'second factors',
            },
        ),
        migrations.RunPython(forget_former_sessions, migrations.RunPython.noop),
    ]
