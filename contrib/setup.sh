# Shared by contrib/try and contrib/check: packages, configure, make.
# Sourced with the repository's top as the working directory.

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        echo "$0: run this as root, or install sudo: packages have to be installed" >&2
        exit 1
    fi
}

install_packages() {
    wanted=$(grep -v '^#' contrib/packages)
    missing=
    for package in $wanted; do
        status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
        [ "$status" = "install ok installed" ] || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    echo "installing:$missing"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    # Postfix and Redis are for private use: the system's own are not to be started.
    policy=/usr/sbin/policy-rc.d
    [ -e $policy ] || printf '#!/bin/sh\nexit 101\n' |
        as_root sh -c "cat >$policy; chmod 755 $policy; : >$policy.mailwitness"
    installed=0
    # shellcheck disable=SC2086 # a list of words
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends $missing >/dev/null || installed=$?
    [ ! -e $policy.mailwitness ] || as_root rm -f $policy $policy.mailwitness
    return $installed
}

# build FOLDER [CONFIGURE OPTION]...
# configure does not build elsewhere what was configured in place; then the folder gets a
# copy of the sources, without what was built.
build() {
    folder=$1
    shift
    ./bootstrap >/dev/null 2>&1 || ./bootstrap
    mkdir -p "$folder"
    sources=$PWD
    if [ -e config.status ]; then
        sources=$PWD/$folder/sources
        rm -rf "$sources"
        mkdir -p "$sources"
        tar -c --exclude=./build --exclude=./.git --exclude='*.o' --exclude='*.a' . |
            tar -x -C "$sources"
        make -s -C "$sources" distclean
    fi
    (cd "$folder" && "$sources/configure" --quiet "$@" && make -s -j"$(nproc)")
}
