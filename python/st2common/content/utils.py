"""Where things are on disk."""

import os

__all__ = [
    "get_base_path", "get_pack_base_path", "get_pack_resource_file_abs_path",
    "get_pack_directory", "get_pack_file_abs_path", "get_pack_group", "get_packs_base_paths",
    "get_system_packs_base_path",
]


def get_base_path():
    return os.environ.get("ST2_BASE_PATH", "/opt/stackstorm")


def get_system_packs_base_path():
    return os.path.join(get_base_path(), "packs")


def get_packs_base_paths():
    """All directories that hold packs."""
    return os.environ.get("ST2_PACKS_BASE_PATHS", get_system_packs_base_path()).split(":")


def get_pack_base_path(pack_name, include_trailing_slash=False, use_pack_cache=False):
    """The directory of a pack, there or not; None without a name."""
    if not pack_name:
        return None
    candidates = [os.path.join(base, pack_name) for base in get_packs_base_paths()]
    path = next((path for path in candidates if os.path.isdir(path)), candidates[0])
    return os.path.join(path, "") if include_trailing_slash else path


get_pack_directory = get_pack_base_path


def get_pack_group():
    """The group of StackStorm's that owns packs; nothing here depends on it."""
    return "st2packs"


def get_pack_file_abs_path(pack_ref, file_path, resource_type=None, use_pack_cache=False):
    """The path of a pack's file, which must stay inside of its directory."""
    base = get_pack_base_path(pack_ref)
    if resource_type:
        base = os.path.join(base, "%ss" % resource_type)
    path = os.path.normpath(os.path.join(base, file_path))
    if os.path.commonpath([base, path]) != base:
        raise ValueError("%r lies outside of the pack %r" % (file_path, pack_ref))
    return path


def get_pack_resource_file_abs_path(pack_ref, resource_type, file_path, use_pack_cache=False):
    """The path of a file of a pack's resource, which must stay inside of its directory."""
    return get_pack_file_abs_path(pack_ref, file_path, resource_type)
