"""The user's own folders of groups (`--config-dir`), for runs, sweeps and sub-commands alike."""

from __future__ import annotations

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from reinit_bench.core.conf_dir import conf_dirs


class OwnOptions(SearchPathPlugin):
    """Adds them after the package's own folder, as Hydra places its `--config-dir`."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for folder in conf_dirs()[:-1]:
            search_path.append("own options", f"file://{folder}")
