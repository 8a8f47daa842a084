#!/bin/sh
# Shows that this tree translates as the base commit does. All arguments go to the comparison; see
# internal/testkit/oracle/cmd/oracle. EIFFELBRIDGE_SHARED is the folder with the specifications and the collected cases.
set -eu
cd "$(dirname "$0")/.."
exec go run ./internal/testkit/oracle/cmd/oracle -shared "${EIFFELBRIDGE_SHARED:-../shared}" "$@"
