#!/bin/sh
# apt-root.sh: takes Debian packages of any suite and architecture without touching the machine's own apt.
# SPDX-License-Identifier: BSD-2-Clause
#
# A private apt root is a folder with apt's configuration, lists, archives and dpkg status of its own. The mirror's
# address is read from the machine's apt sources at run time; settings such as a proxy or credentials stay in force.
# What is downloaded is verified by apt against Debian's archive keyring, or it is refused.
#
# As a command:
#     apt-root.sh get SUITE ARCH OUT PACKAGE...    download these packages (not their dependencies), unpack into OUT
#     apt-root.sh mirror                           print the address that the private roots use
#
# As a library (`. apt-root.sh`, whose functions leave the program with the statuses below):
#     apt_root_cache                 sets $cache, the absolute path of the cache folder
#     apt_root_open ARCH SUITE...    makes the root of these suites and brings its lists up to date; sets $apt_root. One
#                                    program has a root open at a time, and only one
#     apt_root_local                 the root's packages count as installed when they are so on this machine; call it
#                                    after apt_root_open and before apt_root_closure
#     apt_root_depend PACKAGE TEXT   prints the name of the first dependency of PACKAGE that starts with TEXT
#     apt_root_version PACKAGE       prints the candidate version of PACKAGE
#     apt_root_download DIR PACKAGE...   downloads these packages into DIR
#     apt_root_closure DIR SUITE PACKAGE...  as that, with every dependency that does not count as installed
#     apt_root_unpack DIR OUT        unpacks every package of DIR into OUT
#     apt_root_packages DIR          prints a MANIFEST's lines of the packages in DIR
#     apt_root_bring DEST USAGE [--check | --force]
#                                    the whole of a script that brings a folder of the cache, DEST, up to date. Its
#                                    function is_complete tells whether a folder is, its function fetch makes a new one
#                                    in $work/out. USAGE stands before the options. Returns after a fetch only
#     apt_root_need TOOL=PACKAGE...  leaves when a tool is missing
#     apt_root_say, apt_root_fail STATUS MESSAGE
#
# Environment:
#     TOLLGATE_CACHE    the cache folder (default: .cache at the top of the repository)
#     TOLLGATE_MIRROR   a Debian archive to use instead of the one in the machine's apt sources
#
# Exit status: 0 done, 1 something else went wrong, 2 wrong usage, 3 no apt (or another needed tool, or no Debian
# archive in the apt sources), 4 the network or the mirror does not answer, or its lists are not the
# signed ones, 5 verification failed.

apt_root_say() {
    printf '%s\n' "${apt_root_prefix:-apt-root}: $1" >&2
}

# The first line names the problem, so a caller that shows one line shows the right one.
apt_root_fail() {
    printf '%s\n' "${apt_root_prefix:-apt-root}: error: $2" >&2
    exit "$1"
}

apt_root_need() {
    apt_root_missing=
    for apt_root_tool in "$@"; do
        command -v "${apt_root_tool%%=*}" >/dev/null 2>&1 ||
            apt_root_missing="$apt_root_missing ${apt_root_tool%%=*} (package ${apt_root_tool#*=}),"
    done
    [ -z "$apt_root_missing" ] || apt_root_fail 3 "needed and not found:${apt_root_missing%,}"
}

apt_root_cache() {
    cache=${TOLLGATE_CACHE:-}
    if [ -z "$cache" ]; then
        cache=$(CDPATH='' cd -- "${apt_root_top:?set apt_root_top before using the library}" && pwd)/.cache
    fi
    mkdir -p -- "$cache" || apt_root_fail 1 "cannot make the cache folder '$cache'"
    cache=$(CDPATH='' cd -- "$cache" && pwd)
    case $cache in
    *[\"\;\ ]*) apt_root_fail 1 "the cache folder's path holds a space, quote or semicolon; set TOLLGATE_CACHE" ;;
    esac
}

# apt reads both forms of its sources (one-line and deb822) and tells what they say. An entry counts as Debian's main
# archive when its Release file says so; on a machine whose lists were never fetched, when its path does.
apt_root_mirror() {
    [ -z "${TOLLGATE_MIRROR:-}" ] || {
        printf '%s\n' "${TOLLGATE_MIRROR%/}"
        return
    }
    apt_root_codename=$(apt_root_release)
    # shellcheck disable=SC2016 # apt's own variables
    apt_root_format='$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)/$(LABEL)'
    apt_root_found=$({
        apt-get indextargets --format "$apt_root_format" 'Created-By: Packages' 2>/dev/null
        apt-get indextargets --no-release-info --format "$apt_root_format" 'Created-By: Packages' 2>/dev/null
    } | awk -v codename="$apt_root_codename" '
        $3 != "main" || ($2 != codename && $2 !~ /^(old|oldold)?stable$/) { next }
        $4 == "Debian/Debian" || ($4 !~ /^[A-Z]/ && $1 ~ /\/debian(\.list)?\/$/) { sub(/\/$/, "", $1); print $1; exit }')
    [ -n "$apt_root_found" ] || apt_root_fail 3 \
        "the machine's apt sources hold no Debian archive (suite '$apt_root_codename', component main); name one in TOLLGATE_MIRROR"
    printf '%s\n' "$apt_root_found"
}

# Prints the code name of the machine's own release.
apt_root_release() {
    (
        VERSION_CODENAME=
        # shellcheck source=/dev/null
        [ ! -r /etc/os-release ] || . /etc/os-release
        printf '%s\n' "${VERSION_CODENAME:-stable}"
    )
}

apt_root_open() {
    apt_root_need flock=util-linux apt-get=apt apt-cache=apt dpkg-deb=dpkg gpgv=gpgv sha256sum=coreutils awk=mawk
    apt_root_arch=$1
    shift
    apt_root_keys=
    for apt_root_key in gpg pgp; do
        apt_root_key=/usr/share/keyrings/debian-archive-keyring.$apt_root_key
        [ -n "$apt_root_keys" ] || [ ! -r "$apt_root_key" ] || apt_root_keys=$apt_root_key
    done
    [ -n "$apt_root_keys" ] ||
        apt_root_fail 3 "needed and not found: Debian's archive keyring (package debian-archive-keyring)"
    apt_root_uri=$(apt_root_mirror)

    apt_root=$cache/apt/$(printf '%s-' "$@")$apt_root_arch
    mkdir -p "$apt_root/state/lists/partial" "$apt_root/cache/archives/partial"
    # One at a time uses it, until it opens another or ends.
    exec 7>"$apt_root/lock"
    flock 7
    : >"$apt_root/status"
    apt_root_sources "$@"

    # Read after the machine's own configuration, so that these settings win. Hooks belong to the machine's
    # installation. The user stays the one that runs this, since the files belong to it.
    cat >"$apt_root/apt.conf" <<CONF
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
#clear DPkg::Pre-Install-Pkgs;
#clear APT::Architectures;
#clear APT::Default-Release;
#clear Acquire::IndexTargets::deb::Contents-deb;
APT::Architecture "$apt_root_arch";
APT::Architectures { "$apt_root_arch"; };
APT::Sandbox::User "root";
APT::Install-Recommends "false";
APT::Get::AllowUnauthenticated "false";
APT::Get::Assume-Yes "true";
APT::Update::Error-Mode "any";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
Acquire::Languages { "none"; };
Acquire::GzipIndexes "true";
Acquire::Retries "2";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
Dir::Etc::sourcelist "$apt_root/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::trusted "/dev/null";
Dir::Etc::trustedparts "/dev/null";
Dir::State "$apt_root/state";
Dir::State::status "$apt_root/status";
Dir::Cache "$apt_root/cache";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Dir::Log "$apt_root";
CONF
    apt_root_say "reading the package list of $* ($apt_root_arch)"
    if apt_root_try "$apt_root" apt-get update; then
        return 0
    fi
    if apt_root_out_of_step && apt_root_other_names "$@"; then
        apt_root_say "the mirror's list of $* is not the one that is signed; trying$apt_root_names"
        # shellcheck disable=SC2086 # names of suites
        apt_root_sources $apt_root_names
        if apt_root_try "$apt_root" apt-get update; then
            apt_root_same_releases "$@" || apt_root_fail 4 \
                "the mirror's list of $* is not the one that is signed, and$apt_root_names is not $*; try again later, or name another in TOLLGATE_MIRROR"
            return 0
        fi
    fi
    if apt_root_out_of_step; then
        apt_root_complaints
        apt_root_fail 4 "the mirror's list of $* is not the one that is signed, as while it is brought up to date; try again later, or name another in TOLLGATE_MIRROR"
    fi
    apt_root_explain
}

# Writes the root's sources.list with these suites.
apt_root_sources() {
    for apt_root_suite in "$@"; do
        printf 'deb [arch=%s signed-by=%s] %s %s main\n' "$apt_root_arch" "$apt_root_keys" "$apt_root_uri" "$apt_root_suite"
    done >"$apt_root/sources.list"
}

# Whether apt refused a signature or a date.
apt_root_unsigned() {
    grep -qE 'NO_PUBKEY|EXPKEYSIG|REVKEYSIG|BADSIG|ERRSIG|NODATA|is not signed|not (yet )?valid|signatures|be authenticated|be verified|verification failed|expired' \
        "$apt_root/errors"
}

# Whether apt refused a size or a checksum.
apt_root_mismatched() {
    grep -qE 'Hash Sum|Hashes of|unexpected size' "$apt_root/errors"
}

# Whether the lists that were asked for are not the signed ones, and nothing else is wrong: most often a mirror that is
# being brought up to date. Nothing of it was used. Of packages that would be another matter (apt_root_explain).
apt_root_out_of_step() {
    ! apt_root_unsigned && apt_root_mismatched
}

# A release lies on a mirror under its code name and under its place in the row (trixie, stable). While a mirror is
# brought up to date one may be in step with its signed list and the other not. Sets $apt_root_names to the other names
# of these suites, as apt was told by the lists that it has just received; false when there are none.
apt_root_other_names() {
    apt_root_names=
    for apt_root_suite in "$@"; do
        apt_root_other=
        for apt_root_file in "$apt_root"/state/lists/partial/*"_dists_${apt_root_suite}_InRelease" \
            "$apt_root"/state/lists/*"_dists_${apt_root_suite}_InRelease"; do
            [ -n "$apt_root_other" ] || [ ! -r "$apt_root_file" ] ||
                apt_root_other=$(sed -n 's/^Suite: \([a-z-]*\)$/\1/p' "$apt_root_file" | head -n 1)
        done
        [ -n "$apt_root_other" ] && [ "$apt_root_other" != "$apt_root_suite" ] || return 1
        apt_root_names="$apt_root_names $apt_root_other"
    done
}

# Whether the suites of $apt_root_names are these releases, as their signed lists say: stable is one release today and
# another tomorrow.
apt_root_same_releases() {
    for apt_root_other in $apt_root_names; do
        cat "$apt_root"/state/lists/*"_dists_${apt_root_other}_InRelease" 2>/dev/null | grep -qx "Codename: $1" || return 1
        shift
    done
}

# Runs apt in folder $1. Its own progress goes to a terminal only, what it complains about to $apt_root/errors.
apt_root_try() {
    apt_root_dir=$1
    apt_root_command=$2
    shift 2
    apt_root_quiet=
    [ -t 2 ] || apt_root_quiet=-qq
    # shellcheck disable=SC2086 # no option or one
    (cd "$apt_root_dir" && LC_ALL=C "$apt_root_command" -c "$apt_root/apt.conf" $apt_root_quiet "$@") \
        >&2 2>"$apt_root/errors"
}

# The same, and leaves when it fails.
apt_root_run() {
    apt_root_try "$@" || apt_root_explain
}

apt_root_complaints() {
    grep -v '^E: Some index files failed' "$apt_root/errors" | sed 's/^/    /' >&2
}

# Shows what apt complained about, which decides the exit status: a signature, a date or a checksum is verification;
# anything else is the network or the mirror.
apt_root_explain() {
    apt_root_complaints
    if apt_root_unsigned || apt_root_mismatched; then
        apt_root_fail 5 "verification failed: what the mirror gave is not what Debian signed (or debian-archive-keyring is too old)"
    fi
    if grep -qE 'Unable to locate|unmet dependencies|held broken|Unable to correct' "$apt_root/errors"; then
        apt_root_fail 1 "the mirror's lists do not hold what is needed"
    fi
    if grep -qE 'Permission denied|No space left|Could not open (lock )?file|not have enough free space' "$apt_root/errors"; then
        apt_root_fail 1 "apt could not write to the cache folder"
    fi
    apt_root_fail 4 "the Debian mirror cannot be reached, or does not hold what is needed"
}

apt_root_local() {
    cp /var/lib/dpkg/status "$apt_root/status" || apt_root_fail 1 "cannot read dpkg's status"
}

apt_root_show() {
    LC_ALL=C apt-cache -c "$apt_root/apt.conf" --no-all-versions show "$1" 2>/dev/null
}

apt_root_version() {
    apt_root_show "$1" | awk '$1 == "Version:" { print $2; exit }'
}

apt_root_depend() {
    apt_root_show "$1" | awk -v text="$2" '$1 == "Depends:" {
        sub(/^Depends: /, "")
        n = split($0, list, /[,|] */)
        for (i = 1; i <= n; i++) {
            sub(/[ (].*/, "", list[i])
            if (index(list[i], text) == 1) { print list[i]; exit }
        }
    }'
}

apt_root_download() {
    apt_root_out=$1
    shift
    apt_root_run "$apt_root_out" apt-get download "$@"
}

apt_root_closure() {
    apt_root_out=$1
    apt_root_target=$2
    shift 2
    mkdir -p "$apt_root_out/partial"
    apt_root_run "$apt_root_out" apt-get -o "Dir::Cache::archives=$apt_root_out" -o APT::Keep-Downloaded-Packages=true \
        -o "Debug::NoLocking=true" -t "$apt_root_target" --download-only --reinstall install "$@"
    rm -rf "$apt_root_out/partial" "$apt_root_out/lock"
}

apt_root_unpack() {
    for apt_root_deb in "$1"/*.deb; do
        dpkg-deb -x "$apt_root_deb" "$2" || apt_root_fail 1 "cannot unpack '${apt_root_deb##*/}'"
    done
}

apt_root_packages() {
    for apt_root_deb in "$1"/*.deb; do
        # shellcheck disable=SC2016 # dpkg-deb's own variables
        printf 'package %s %s\n' "$(dpkg-deb -W --showformat='${Package} ${Version}' "$apt_root_deb")" \
            "$(sha256sum <"$apt_root_deb" | cut -d ' ' -f 1)"
    done
}

apt_root_bring() {
    dest=$1
    apt_root_form=$2
    shift 2
    case ${1:-} in
    '') ! is_complete "$dest" || exit 0 ;;
    --force) ;;
    --check)
        is_complete "$dest" || exit 1
        exit 0
        ;;
    *)
        printf 'usage: %s [--check | --force]\n' "$apt_root_form" >&2
        exit 2
        ;;
    esac

    apt_root_need flock=util-linux
    exec 9>"$dest.lock"
    flock -n 9 || {
        apt_root_say "waiting for another fetch to end"
        flock 9
    }
    # Another one may have done the work.
    [ "${1:-}" = --force ] || ! is_complete "$dest" || exit 0
    # With the lock held, what lies there under these names was left by a fetch that died.
    rm -rf "$dest".tmp.*
    work=$(mktemp -d "$dest.tmp.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    fetch
    [ ! -e "$dest" ] || mv "$dest" "$work/old"
    mv "$work/out" "$dest"
}

apt_root_usage() {
    printf '%s\n' 'usage: apt-root.sh get SUITE ARCH OUT PACKAGE...' '       apt-root.sh mirror' >&2
    exit 2
}

apt_root_main() {
    apt_root_top=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
    case ${1:-} in
    mirror)
        apt_root_need apt-get=apt awk=mawk
        apt_root_mirror
        ;;
    get)
        [ $# -ge 5 ] || apt_root_usage
        apt_root_cache
        apt_root_open "$3" "$2"
        mkdir -p -- "$4"
        apt_root_into=$(CDPATH='' cd -- "$4" && pwd)
        shift 4
        apt_root_temp=$(mktemp -d "$cache/get.XXXXXX")
        trap 'rm -rf "$apt_root_temp"' EXIT
        trap 'exit 130' INT
        trap 'exit 143' TERM
        apt_root_download "$apt_root_temp" "$@"
        apt_root_unpack "$apt_root_temp" "$apt_root_into"
        ;;
    *) apt_root_usage ;;
    esac
}

case ${0##*/} in
apt-root.sh)
    set -eu
    apt_root_main "$@"
    ;;
esac
