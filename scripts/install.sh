#!/usr/bin/env bash
# Installs the Debian packages listed in packages.txt for the given purposes (build, check). Does nothing, quickly, when all
# of them are there. As root it calls apt-get directly, otherwise through sudo. GODWIT_NO_INSTALL=1 skips it altogether.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PATH:/usr/sbin:/sbin" LC_ALL=C

die() {
    printf 'install: %s\n' "$*" >&2
    exit 1
}

[ $# -gt 0 ] || die "name at least one purpose: build, check"
[ "${GODWIT_NO_INSTALL:-}" != 1 ] || exit 0

wanted=()
for purpose in "$@"; do
    mapfile -t found < <(awk -v purpose="$purpose" '$1 == purpose { print $2 }' packages.txt)
    [ ${#found[@]} -gt 0 ] || die "packages.txt lists nothing for '$purpose'"
    wanted+=("${found[@]}")
done

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    die "this system has no apt. Install the counterparts of: ${wanted[*]}; then set GODWIT_NO_INSTALL=1"
fi

# dpkg-query exits non-zero for packages it never heard of; those are just missing.
installed=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' "${wanted[@]}" 2>/dev/null |
    awk '$1 ~ /^.i/ { print $2 }' || true)
missing=()
for package in "${wanted[@]}"; do
    grep -qxF -- "$package" <<<"$installed" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null ||
        die "packages are missing and there is no sudo. As root run: apt-get install ${missing[*]}"
    as_root=(sudo)
    if [ ! -t 0 ]; then # nobody is there to type a password
        sudo -n true 2>/dev/null ||
            die "packages are missing and sudo wants a password. As root run: apt-get install ${missing[*]}"
        as_root=(sudo -n)
    fi
fi

apt() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 \
        -o Dpkg::Use-Pty=0 "$@" </dev/null
}

printf 'Installing with apt: %s\n' "${missing[*]}"
# A repository that godwit does not need may be unreachable: what counts is whether the installation succeeds.
apt update || printf 'install: apt-get update reported errors; trying all the same\n' >&2
if ! apt --no-install-recommends install "${missing[@]}" >/dev/null; then
    die "apt-get could not install: ${missing[*]}. Its messages above say why; look at the network and at /etc/apt."
fi
