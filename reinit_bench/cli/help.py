"""`reinit-bench --help`, and what a shell completes: read from the folders of groups and commands; no Hydra, no torch.

Completion is Hydra's own, which knows groups and fields, with the sub-commands and their options. Hydra's script
(`eval "$(reinit-bench -sc install=bash)"`) asks with `-sc query=bash` and the line in COMP_LINE.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence

from reinit_bench.cli.commands import option_names, summaries
from reinit_bench.core.conf_dir import BASE, conf_dirs, options

USAGE = """\
reinit-bench: reinitialization during training, compared (after Alabdulmohsin, Maennel, Keysers, AAAI 2022)

  reinit-bench                                         one run: digits, scnn, lw
  reinit-bench -m method=lw,fc dataset=digits          a sweep over values, on this machine
  reinit-bench -m study=demo                           a study: a named union of grids; typed again, it resumes
"""

FIELDS = """\
Fields: seed, image_size, precision (fp32, bf16), device (auto, cpu, cuda), results_dir (or REINIT_BENCH_RESULTS),
  dataset.train_examples, model.width, method.fraction, method.repeats, trainer.lr, trainer.momentum,
  trainer.weight_decay, trainer.batch_size, trainer.max_steps, trainer.patience_epochs, trainer.plateau_epochs,
  trainer.checkpoint_every, ...; `reinit-bench --cfg job` prints all of them with their values.

Exit codes: 0 done; 1 an error, reported in one line (HYDRA_FULL_ERROR=1 gives the traceback); 2 invalid command line;
  75 interrupted with a checkpoint written: the same command resumes from it.
Hydra's own options (--cfg, --config-dir, ...): reinit-bench --hydra-help"""


def groups() -> dict[str, list[str]]:
    """Each group with its options, sorted; the user's own among them."""
    names = {path.name for folder in conf_dirs() for path in folder.iterdir() if path.is_dir()}
    found = {name: options(name) for name in sorted(names - {"hydra", BASE})}
    found = {name: members for name, members in found.items() if members}
    return {**found, "hydra/launcher": options("hydra/launcher")}


def help_text() -> str:
    """The whole help."""
    commands = "\n".join(f"  reinit-bench {name:<10} {what}" for name, what in summaries().items())
    found = groups()
    width = max(map(len, found))
    wrap = textwrap.TextWrapper(110, subsequent_indent=" " * (width + 4))
    lines = [wrap.fill(f"  {group:<{width}}  {', '.join(names)}") for group, names in found.items()]
    return "\n".join([USAGE, "Sub-commands (each with --help):", commands, "", "Groups:", *lines, "", FIELDS])


def is_query(words: Sequence[str]) -> bool:
    """Whether a shell asks for completions."""
    return len(words) == 2 and words[0] in ("-sc", "--shell-completion") and words[1].startswith("query=")


def complete_command(line: str) -> tuple[list[str], str | None]:
    """What the sub-commands offer for a line that is being typed, and the line that is left for Hydra, if any."""
    program, *typed = line.split() or [""]
    current = "" if line[-1:].isspace() else (typed.pop() if typed else "")
    if not typed:
        return [name for name in summaries() if name.startswith(current)], line
    if typed[0] not in summaries():
        return [], line
    if current.startswith("-"):
        return [option for option in option_names(typed[0]) if option.startswith(current)], None
    return [], " ".join([program, *typed[1:], current])


def answer_shell() -> bool:
    """Print what the sub-commands offer; returns whether Hydra is to answer too, for the line now in COMP_LINE."""
    offers, rest = complete_command(os.environ.get("COMP_LINE", ""))
    if offers:
        print("\n".join(offers))
    if rest is not None:
        os.environ["COMP_LINE"] = rest
    return rest is not None
