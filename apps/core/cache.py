"""The optional shared cache: when it dies, pages get slower and nothing else."""

import logging
from typing import Any

from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

log = logging.getLogger("docket.cache")


class ForgivingRedisCache(RedisCache):
    """Django's RedisCache that answers as an empty cache while Redis is away."""

    def _forgive(self, name: str, default: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return getattr(super(), name)(*args, **kwargs)
        except RedisError as error:
            log.warning("cache unavailable: %s", error)
            return default

    def get(self, key: Any, default: Any = None, version: Any = None) -> Any:
        return self._forgive("get", default, key, default, version)

    def set(self, *args: Any, **kwargs: Any) -> None:
        self._forgive("set", None, *args, **kwargs)

    def add(self, *args: Any, **kwargs: Any) -> bool:
        return self._forgive("add", True, *args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> bool:
        return self._forgive("delete", False, *args, **kwargs)

    def touch(self, *args: Any, **kwargs: Any) -> bool:
        return self._forgive("touch", False, *args, **kwargs)

    def has_key(self, *args: Any, **kwargs: Any) -> bool:
        return self._forgive("has_key", False, *args, **kwargs)

    def get_many(self, *args: Any, **kwargs: Any) -> dict:
        return self._forgive("get_many", {}, *args, **kwargs)

    def set_many(self, *args: Any, **kwargs: Any) -> list:
        return self._forgive("set_many", [], *args, **kwargs)

    def delete_many(self, *args: Any, **kwargs: Any) -> None:
        self._forgive("delete_many", None, *args, **kwargs)

    def incr(self, key: Any, delta: int = 1, version: Any = None) -> int:
        return self._forgive("incr", delta, key, delta, version)
