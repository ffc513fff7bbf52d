#!/usr/bin/env python3
"""A Slurm of this machine alone, without systemd and without accounting, for tests of the Slurm executor.

    python tests/slurm_one_node.py start DIR      # prints the SLURM_CONF to set
    python tests/slurm_one_node.py stop DIR

It needs root, and slurmctld, slurmd, Slurm's commands and munge (Debian: slurmctld, slurmd, slurm-client, munge).
All it writes lies in DIR: configuration, state, logs, and a key and a socket of munge of its own.
"""

from __future__ import annotations

import os
import platform
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

CORES = 4
_PATIENCE_SECONDS = 20
_DAEMONS = ("slurmd", "slurmctld", "munged")

# cred_expire and sched_interval: a job that is queued again waits until the credential of its last run is no longer
# good, by default two minutes, and then for the scheduler's next look, by default another.
_CONF = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={first}
SlurmdPort={second}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munged.socket,cred_expire=5
SchedulerParameters=sched_interval=1,bf_interval=1
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
KillWait=5
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def start(folder: Path) -> Path:
    """Start the daemons and wait for the node; the configuration's path. Leaves with a message where it cannot."""
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    folder.chmod(0o755)
    key = folder / "munged.key"
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o400)
    first, second = _free_ports()
    host = platform.node().partition(".")[0]
    conf = folder / "slurm.conf"
    conf.write_text(_CONF.format(host=host, first=first, second=second, folder=folder, cores=CORES))
    munge = {"key-file": key, "socket": folder / "munged.socket", "pid-file": folder / "munged.pid"}
    munge |= {"log-file": folder / "munged.log", "seed-file": folder / "munged.seed"}
    # --force: a folder of tests may be below one that others can write to.
    words = [
        shutil.which("munged") or "munged",
        "--force",
        *(f"--{name}={path}" for name, path in munge.items()),
    ]
    subprocess.run(words, check=True)
    os.environ["SLURM_CONF"] = str(conf)
    for daemon in ("slurmctld", "slurmd"):
        subprocess.run([daemon, "-f", str(conf)], check=True)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        states = subprocess.run(["sinfo", "--noheader", "--format", "%T"], capture_output=True, text=True)
        if states.stdout.strip() == "idle":
            return conf
        time.sleep(0.2)
    stop(folder)
    sys.exit(f"the node did not become idle: see {folder}/slurmctld.log and slurmd.log")


def stop(folder: Path) -> None:
    """End the daemons that `start` began, by the numbers they wrote down."""
    for daemon in _DAEMONS:
        path = folder / f"{daemon}.pid"
        if path.is_file():
            os.kill(int(path.read_text()), signal.SIGTERM)


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


if __name__ == "__main__":
    verb, where = sys.argv[1], Path(sys.argv[2]).absolute()
    if verb == "start":
        print(start(where))
    elif verb == "stop":
        stop(where)
    else:
        sys.exit(__doc__)
