"""A Slurm cluster of several virtual nodes on this machine, for tests, or until Ctrl-C:

    python tests/slurm/cluster.py             # as root

It needs Debian's packages slurmctld slurmd slurmdbd slurm-client munge mariadb-server. What it writes is in
STATE, save the two files where Slurm's own commands look for their configuration (job steps are started by
`srun`, which knows no other place). At the end all daemons are ended and all files removed.
"""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

STATE = Path("/run/lmmcore-slurm")
CONFIG = Path("/etc/slurm/slurm.conf")
ACCOUNTING = Path("/etc/slurm/slurmdbd.conf")
NODES = ("node1", "node2", "node3")
PROGRAMS = ("munged", "mariadbd", "slurmdbd", "slurmctld", "slurmd", "sbatch")

# Nodes claim more than the machine has (config_overrides). A job that holds more memory than it asked for is
# killed at the next look, once a second.
CLUSTER = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={state}/munge/socket
CredType=cred/munge
SlurmctldPort=26817
SlurmctldPidFile={state}/slurmctld.pid
SlurmctldLogFile={state}/slurmctld.log
StateSaveLocation={state}/controller
SlurmdPidFile={state}/%n.pid
SlurmdLogFile={state}/%n.log
SlurmdSpoolDir={state}/%n
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=26819
AccountingStoragePass={state}/munge/socket
AccountingStorageEnforce=associations,limits,qos
AccountingStoreFlags=job_comment
SchedulerParameters=sched_min_interval=100000,sched_interval=2,bf_interval=2
ReturnToService=2
MinJobAge=3600
KillWait=2
PartitionName=test Nodes={nodes} Default=YES MaxTime=1440 State=UP
"""
DATABASE = """\
AuthType=auth/munge
AuthInfo=socket={state}/munge/socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=26819
SlurmUser=root
PidFile={state}/slurmdbd.pid
LogFile={state}/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
"""


def missing() -> str:
    """Why no cluster can be started here; empty if it can."""
    if os.geteuid() != 0:
        return "a test cluster of Slurm needs root"
    absent = [name for name in PROGRAMS if not shutil.which(name)]
    if absent:
        return f"not installed: {', '.join(absent)}"
    if CONFIG.exists() and not STATE.exists():
        return f"{CONFIG} exists: this machine belongs to a cluster"
    return ""


def run(*command: str, **environment: str) -> None:
    """A program that must succeed; what it prints goes to the log of `start`."""
    with (STATE / "start.log").open("a") as log:
        subprocess.run(command, check=True, stdout=log, stderr=log, env=os.environ | environment)


def slurm(*command: str) -> str:
    """Output of one of Slurm's commands; empty if it failed."""
    return subprocess.run(command, capture_output=True, text=True).stdout


def wait_for(condition: Callable[[], object], what: str, seconds: float = 600.0) -> None:
    """Return as soon as `condition()` holds; TimeoutError after `seconds`."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(what)
        time.sleep(0.1)


def write_configuration() -> None:
    """Three nodes of two processors and 6 GB; the file that holds the database's address is private."""
    host = socket.gethostname()
    lines = [CLUSTER.format(host=host, state=STATE, nodes=",".join(NODES))]
    for port, node in enumerate(NODES, start=26821):
        address = f"NodeHostname={host} NodeAddr=127.0.0.1 Port={port}"
        lines.append(f"NodeName={node} {address} CPUs=2 RealMemory=6000 State=UNKNOWN\n")
    CONFIG.write_text("".join(lines))
    ACCOUNTING.touch(mode=0o600)
    ACCOUNTING.write_text(DATABASE.format(state=STATE))


def start_munge() -> None:
    """The daemon that vouches for users, as its own user, with a key and a socket of its own."""
    home = STATE / "munge"
    home.mkdir(mode=0o755)
    (home / "key").write_bytes(os.urandom(1024))
    (home / "key").chmod(0o400)
    for path in (home, home / "key"):
        shutil.chown(path, "munge", "munge")
    files = {"socket": "socket", "key-file": "key", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    options = [f"--{option}={home / name}" for option, name in files.items()]
    run("setpriv", "--reuid=munge", "--regid=munge", "--clear-groups", "munged", *options)


def start_accounting() -> None:
    """slurmdbd above a database of its own, reached by a socket alone."""
    home = STATE / "mariadb"
    home.mkdir(mode=0o755)
    shutil.chown(home, "mysql", "mysql")
    data, own = f"--datadir={home}/data", ("--no-defaults", "--user=mysql")
    run("mariadb-install-db", *own, data, "--auth-root-authentication-method=socket", "--skip-test-db")
    files = [f"--socket={home}/socket", f"--pid-file={home}/pid", f"--log-error={home}/log"]
    run("setsid", "--fork", "mariadbd", *own, data, *files, "--skip-networking")
    wait_for((home / "socket").exists, "the database did not start")
    run("slurmdbd", MYSQL_UNIX_PORT=f"{home}/socket")
    wait_for(lambda: slurm("sacctmgr", "--noheader", "show", "qos"), "slurmdbd did not start")
    for entry in (["cluster", "test"], ["qos", "short"], ["account", "lab"]):
        run("sacctmgr", "--immediate", "add", *entry)
    run("sacctmgr", "--immediate", "add", "user", "root", "account=lab", "qos=normal,short")


def start_controller() -> None:
    """slurmctld; started again it goes on from the state it saved."""
    run("slurmctld")


def alive(pid: int, program: str) -> bool:
    """Whether the process runs, and is still this program; one that ended and is not fetched yet does not."""
    try:
        name, rest = Path(f"/proc/{pid}/stat").read_text().split("(", 1)[1].rsplit(")", 1)
    except (FileNotFoundError, ProcessLookupError):
        return False
    return name == program and rest.split()[0] != "Z"


def stop_daemon(program: str, pid_file: Path) -> None:
    """End the process named in the file, and wait until it is gone."""
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text())
    for number, patience in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)):
        if alive(pid, program):
            os.kill(pid, number)
        until = time.monotonic() + patience
        while alive(pid, program) and time.monotonic() < until:
            time.sleep(0.05)
    pid_file.unlink(missing_ok=True)


def stop_controller() -> None:
    """End slurmctld; jobs and nodes stay."""
    stop_daemon("slurmctld", STATE / "slurmctld.pid")


def nodes_up() -> bool:
    return slurm("sinfo", "--noheader", "--Node", "--states=idle", "--format=%N").split() == list(NODES)


def start() -> None:
    """Start all daemons and wait until every node is idle."""
    STATE.mkdir(mode=0o755)
    (STATE / "controller").mkdir(mode=0o700)
    write_configuration()
    start_munge()
    start_accounting()
    start_controller()
    for node in NODES:
        run("slurmd", "-N", node)
    wait_for(nodes_up, f"the nodes did not come up: see the logs in {STATE}")


def stop() -> None:
    """Cancel what runs, end all daemons, remove all files. Nothing happens if there is no cluster."""
    if not STATE.exists():
        return
    slurm("scancel", "--user=root")
    until = time.monotonic() + 10.0
    while slurm("squeue", "--noheader") and time.monotonic() < until:
        time.sleep(0.1)
    for node in NODES:
        stop_daemon("slurmd", STATE / f"{node}.pid")
    stop_controller()
    stop_daemon("slurmdbd", STATE / "slurmdbd.pid")
    stop_daemon("mariadbd", STATE / "mariadb/pid")
    stop_daemon("munged", STATE / "munge/pid")
    # STATE goes last: what remains of a stop that was killed in between is still known for ours.
    for path in (CONFIG, ACCOUNTING):
        path.unlink(missing_ok=True)
    shutil.rmtree(STATE)


def locked(descriptor: int) -> bool:
    """Whether this process has the lock now; it loses it when it ends, however it ends."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def running() -> Iterator[None]:
    """A cluster for as long as the block lasts. There is one at a time: who comes second waits for the first.

    The lock is on the folder of the configuration, so no file of it remains. A cluster found by who has the
    lock was left by a process that was killed, and is stopped.
    """
    descriptor = os.open(CONFIG.parent, os.O_RDONLY)
    try:
        wait_for(lambda: locked(descriptor), "another test cluster runs on this machine", seconds=900)
        stop()
        try:
            start()
            yield
        finally:
            stop()
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    if problem := missing():
        sys.exit(problem)
    with running():
        print("The cluster runs: Ctrl-C stops it.", flush=True)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
