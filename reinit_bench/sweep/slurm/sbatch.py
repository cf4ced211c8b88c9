"""One array, submitted through submitit: the script that SLURM runs for each task, and its submission.

Submitit writes the script, checks its options, submits it and reads the job's id. Each task runs our own command
instead of submitit's pickles: those are put in place only after sbatch has answered (a submitter that dies in between
orphans the whole array), are two or three files for every task, and run under submitit's signal handlers, which ignore
SIGTERM.
"""

from __future__ import annotations

import shlex
from typing import Any

import submitit
from submitit.core.utils import FailedJobError, FailedSubmissionError

from reinit_bench.sweep.slurm import commands
from reinit_bench.sweep.slurm.batch import Batch
from reinit_bench.sweep.slurm.commands import SlurmError
from reinit_bench.sweep.slurm.options import Options, Resources


def submit_array(batch: Batch, resources: Resources, options: Options, max_parallel: int) -> str:
    """Submit a batch as one array; returns its SLURM job id.

    Raises:
        SlurmError: sbatch refuses; the message gives its reason.
    """
    executor = submitit.SlurmExecutor(batch.folder, python=options.python)
    executor.update_parameters(**parameters(batch, resources, options, max_parallel))
    executor.parameters["map_count"] = len(batch.tasks)
    # -P: a file of the user's called random.py must not take the place of Python's own.
    task = f"{executor.python} -P -u -m reinit_bench.sweep.slurm.array_task {shlex.quote(str(batch.folder))}"
    try:
        job = executor._submit_command(f"srun --cpus-per-task={batch.cpus} --unbuffered {task}")
    except (FailedJobError, FailedSubmissionError) as error:
        raise SlurmError(_why_refused(str(error))) from error
    for link in batch.folder.glob(".submission_file_*"):
        link.unlink()  # submitit leaves a link under the script's first name
    return str(job.job_id)


def parameters(batch: Batch, resources: Resources, options: Options, max_parallel: int) -> dict[str, Any]:
    """The array's options, by submitit's names; those that are None are left to the cluster."""
    return {
        "partition": resources.partition,
        "account": resources.account,
        "qos": resources.qos,
        "constraint": resources.constraint,
        "gres": resources.gres,
        "gpus_per_node": resources.gpus if resources.gpus and not resources.gres else None,
        "mem": None if resources.mem_gb is None else f"{round(resources.mem_gb * 1024)}MB",
        "job_name": batch.name,
        "time": resources.minutes,
        "ntasks_per_node": 1,
        "cpus_per_task": resources.cpus,
        "signal_delay_s": options.lead_seconds(resources),
        "array_parallelism": max_parallel,
        "setup": [*opening(batch), *options.setup],
        "use_srun": False,  # the command calls srun itself: submitit's would write to two more files
        # The script opens the log: SLURM would end a task silently if its node did not see the folder.
        "stderr_to_stdout": True,
        "wckey": None,  # submitit's default, which a cluster that checks wckeys would refuse
        "additional_parameters": {"requeue": True, "output": "/dev/null"} | dict(options.extra),
    }


def opening(batch: Batch) -> list[str]:
    """The script's first lines: survive SIGTERM, check that the batch's folder is seen, write to the task's log."""
    folder = shlex.quote(str(batch.folder))
    results = shlex.quote(str(batch.folder.parent.parent))
    blind = f'"node $(hostname -s) does not see results_dir "{results}"; put it on a file system that the nodes share"'
    log = '"$SLURM_ARRAY_JOB_ID"_"$SLURM_ARRAY_TASK_ID".log'
    return [
        "trap : TERM USR2  # the worker receives them too, and this shell must live to pass on its exit code",
        f"if [ ! -r {folder}/batch.json ]; then",
        f'  scontrol update JobId="$SLURM_JOB_ID" Comment={blind}',
        "  exit 66",
        "fi",
        f"exec >>{folder}/logs/{log} 2>&1",
    ]


def _why_refused(text: str) -> str:
    """Sbatch's complaint in one line, with the cluster's partitions if it concerns one."""
    complaints = [line.removeprefix("sbatch: ").removeprefix("error: ").strip() for line in text.splitlines()]
    line = "sbatch refuses: " + "; ".join(filter(None, complaints))
    if "partition" in text.lower():
        line += f"; partitions here: {', '.join(commands.partitions())}"
    return line
