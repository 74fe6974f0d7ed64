"""A Slurm cluster of several virtual nodes on this machine, for tests:

    python tests/slurm/cluster.py start       # as root
    python tests/slurm/cluster.py stop

It needs Debian's packages slurmctld slurmd slurmdbd slurm-client munge mariadb-server. What it writes is in
STATE, save the two files where Slurm's own commands look for their configuration (job steps are started by
`srun`, which knows no other place). `stop` ends all daemons and removes all files.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
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


def wait_for(condition: Callable[[], object], what: str, seconds: float = 60.0) -> None:
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
    CONFIG.parent.mkdir(exist_ok=True)
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


def alive(pid: int) -> bool:
    """Whether the process runs; one that ended and is not fetched yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def stop_daemon(pid_file: Path) -> None:
    """End the process named in the file, and wait until it is gone."""
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text())
    for signal, patience in ((15, 10.0), (9, 5.0)):
        if alive(pid):
            os.kill(pid, signal)
        until = time.monotonic() + patience
        while alive(pid) and time.monotonic() < until:
            time.sleep(0.05)
    pid_file.unlink(missing_ok=True)


def stop_controller() -> None:
    """End slurmctld; jobs and nodes stay."""
    stop_daemon(STATE / "slurmctld.pid")


def nodes_up() -> bool:
    return slurm("sinfo", "--noheader", "--Node", "--states=idle", "--format=%N").split() == list(NODES)


def start() -> None:
    """Start all daemons and wait until every node is idle."""
    if problem := missing():
        sys.exit(problem)
    stop()
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
    for name in (*NODES, "slurmctld", "slurmdbd"):
        stop_daemon(STATE / f"{name}.pid")
    for name in ("mariadb", "munge"):
        stop_daemon(STATE / name / "pid")
    shutil.rmtree(STATE)
    for path in (CONFIG, ACCOUNTING):
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    {"start": start, "stop": stop}[sys.argv[1]]()
