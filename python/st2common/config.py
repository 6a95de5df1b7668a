"""The server's settings, as far as packs may see them."""

from oslo_config import cfg

__all__ = ["cfg", "parse_args"]


def parse_args(args=None, ignore_errors=False):
    """There is nothing to read: `cfg.CONF` knows what there is to know."""
