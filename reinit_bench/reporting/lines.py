"""The lines that a run prints about itself, as plain text."""

from __future__ import annotations

from reinit_bench.training.observer import EpochEnd, RoundEnd, RunEnd, RunStart

GAP = "  "


def duration(seconds: float) -> str:
    """Seconds in words: `8.1 s`, `43 s`, `3 min 20 s`, `2 h 05 min`, `3 d 04 h`."""
    whole = round(seconds)
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600:02d} h"


def accuracies(**fractions: float | None) -> list[str]:
    """Each accuracy by its name, in percent; those that are None are left out."""
    return [f"{name} {fraction:.1%}" for name, fraction in fractions.items() if fraction is not None]


def start_line(event: RunStart) -> str:
    """What starts, and from which step a resumed run continues."""
    plural = "s" if event.rounds > 1 else ""
    line = f"{event.title}: run {event.run_id}, {event.rounds} round{plural} of at most {event.steps_per_round} steps"
    return f"{line}, resumes from step {event.first_step}" if event.first_step else line


def epoch_line(event: EpochEnd, rounds: int, steps_per_round: int, time_left: str) -> str:
    """Where the run is; the loss is the mean over the epoch."""
    words = [f"round {event.round}/{rounds}", f"epoch {event.epoch}", f"step {event.step}/{steps_per_round}"]
    if event.losses:
        words.append(f"loss {sum(event.losses) / len(event.losses):.4f}")
    words += accuracies(train=event.train_accuracy, validation=event.validation_accuracy)
    return GAP.join(filter(None, [*words, time_left]))


def round_line(event: RoundEnd) -> str:
    """A round's results; block 0, of methods that do not go block by block, is left out."""
    words = [f"round {event.round}/{event.rounds}", f"block {event.block}" if event.block else ""]
    words.append(f"{event.steps} steps")
    words += accuracies(train=event.train_accuracy, validation=event.validation_accuracy, test=event.test_accuracy)
    return GAP.join(filter(None, [*words, duration(event.seconds)]))


def end_line(event: RunEnd, title: str, total_step: int) -> str:
    """How the run ended: its accuracies and folder; or the step to resume from."""
    if event.state == "interrupted":
        return f"{title}: interrupted at step {total_step}; the same command resumes from there"
    names = ("test", "validation", "train")
    words = accuracies(**{name: event.summary.get(f"{name}_accuracy") for name in names})
    return GAP.join([f"{title}: {words[0] if words else event.state}", *words[1:], event.directory])
