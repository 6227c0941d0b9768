"""The ledger is append-only in the database itself: a trigger refuses every change and every deletion of an event."""

from django.db import migrations

POSTGRES = """
CREATE OR REPLACE FUNCTION workevent_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The ledger is append-only: event % stays as it is.', OLD.id;
END $$;
CREATE OR REPLACE TRIGGER workevent_append_only BEFORE UPDATE OR DELETE ON workorders_workevent
FOR EACH ROW EXECUTE FUNCTION workevent_is_append_only();
"""
SQLITE = [
    f"""CREATE TRIGGER IF NOT EXISTS workevent_no_{verb} BEFORE {verb} ON workorders_workevent
BEGIN SELECT RAISE(ABORT, 'The ledger is append-only.'); END"""
    for verb in ("UPDATE", "DELETE")
]


def protect(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(POSTGRES, params=None)
    else:
        for statement in SQLITE:
            schema_editor.execute(statement)


def unprotect(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP TRIGGER IF EXISTS workevent_append_only ON workorders_workevent")
    else:
        for verb in ("UPDATE", "DELETE"):
            schema_editor.execute(f"DROP TRIGGER IF EXISTS workevent_no_{verb}")


class Migration(migrations.Migration):
    dependencies = [("workorders", "0001_initial")]
    operations = [migrations.RunPython(protect, unprotect)]
