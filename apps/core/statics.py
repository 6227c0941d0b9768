"""Static files under names with their hash, the modules of the floor page too."""

from django.contrib.staticfiles.storage import ManifestStaticFilesStorage
from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedFiles(CompressedManifestStaticFilesStorage):
    """As whitenoise has it, and imports between our own modules point to hashed names.

    Django can do so for every script; those of other packages import what they do not bring, so only ours are rewritten.
    """

    patterns = (*ManifestStaticFilesStorage.patterns, ("floor/*.js", ManifestStaticFilesStorage._js_module_import_aggregation_patterns[1]))
    max_post_process_passes = 12  # a module's name is final when those of its imports are: one pass for each level of them
