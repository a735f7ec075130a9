"""A real nginx as the target: it echoes the two headers that the proxies set, and the Host that it was asked for."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from doubles.programs import Program
from doubles.requirements import require_program

_CONFIGURATION = """
daemon off;
worker_processes 1;
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port}{tls};
        location / {{
            default_type text/plain;
            return 200 "{echoed}";
        }}
    }}
}}
"""

_ECHOED = {
    "type": "$http_x_flashbots_attestation_type",
    "measurement": "$http_x_flashbots_measurement",
    "host": "$http_host",
    "forwarded": "$http_x_forwarded_for",
    "uri": "$request_uri",
}


@contextmanager
def running_nginx(folder: Path, *, certificate: Path | None = None, key: Path | None = None) -> Iterator[int]:
    """Start nginx in an empty folder and yield its port; with a certificate it speaks TLS."""
    program = require_program("nginx")
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        tls = f" ssl;\n        ssl_certificate {certificate};\n        ssl_certificate_key {key}" if certificate else ""
        configuration = folder / "nginx.conf"
        echoed = "".join(f"{name}={variable}\\n" for name, variable in _ECHOED.items())
        user = "user root;" if os.geteuid() == 0 else ""
        configuration.write_text(_CONFIGURATION.format(folder=folder, port=port, tls=tls, echoed=echoed, user=user))
        command = [program, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(configuration)]
        # It listens already, so that nobody has to wait until nginx is up; nginx adopts it by this variable.
        descriptor = listener.fileno()
        with Program(command, cwd=folder, environment={"NGINX": f"{descriptor};"}, fds=[descriptor]) as nginx:
            listener.close()
            try:
                yield port
            finally:
                nginx.stop()


def echoed_by_nginx(body: bytes) -> dict[str, str]:
    """Return what nginx saw, by name."""
    return dict(line.split("=", 1) for line in body.decode().splitlines())
