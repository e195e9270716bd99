# Sourced: ensure_venv NAME REQUIREMENTS makes a virtual environment with pinned packages once and sets PYTHON to its
# interpreter. It lies in HONE_CACHE, or the user's cache folder; HONE_VENV names an environment that is used as it is.
ensure_venv() {
    local cache=${HONE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/hone}
    local folder=$cache/venv-$1 sum
    if [ -n "${HONE_VENV:-}" ]; then
        PYTHON=$HONE_VENV/bin/python
        [ -x "$PYTHON" ] || { echo "error: HONE_VENV=$HONE_VENV holds no bin/python" >&2; return 2; }
        return 0
    fi
    PYTHON=$folder/bin/python
    sum=$(cat "$(dirname "$2")"/../*/requirements*.txt | sha256sum)
    [ "$(cat "$folder/complete" 2>/dev/null)" != "$sum" ] || return 0
    echo "== making the Python environment $folder (once; several GB)" >&2
    rm -rf "$folder"
    mkdir -p "$cache"
    python3 -m venv "$folder" || { echo "error: python3 -m venv failed; on Debian: apt-get install python3-venv" >&2; return 2; }
    "$PYTHON" -m pip install -q --disable-pip-version-check -r "$2" >&2 || return 3
    echo "$sum" > "$folder/complete"
}
