"""Model permissions come from the roles in code, so that no row in the database can quietly widen one."""

from typing import Any

from django.contrib.auth.backends import ModelBackend

from apps.accounts.access import access_of


class RoleBackend(ModelBackend):
    """Django's password check, with permissions from accounts.roles. Answers nothing for single objects: `visible_to` does."""

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        return set() if obj is not None else set(access_of(user_obj).permissions)

    def get_group_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        return self.get_all_permissions(user_obj, obj)

    def get_user_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        return set()
