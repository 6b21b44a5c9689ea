#!/usr/bin/env bash
# Install the programs that the tests use as peers: other people's tools that must agree with ours.
#
# Costs nothing when all are there. Otherwise needs root and apt; without them it says what to install and fails.
# The machine's permanent package sources are never changed.
set -euo pipefail
export PATH="$PATH:/usr/sbin:/sbin:/usr/lib/postgresql/15/bin" DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

# program:package, or file:package
peers="openssl:openssl jq:jq age:age strace:strace mkfs.ext4:e2fsprogs mkfs.xfs:xfsprogs
       mkfs.btrfs:btrfs-progs sshfs:sshfs /usr/lib/openssh/sftp-server:openssh-sftp-server sshd:openssh-server losetup:mount ssh-keygen:openssh-client findmnt:util-linux cosign:cosign chromium:chromium
       postgres:postgresql-15 /usr/share/postgresql/15/extension/pg_dirtyread.control:postgresql-15-dirtyread
       mariadbd:mariadb-server /usr/lib/galera/libgalera_smm.so:galera-4 rg:ripgrep redis-server:redis-server softhsm2-util:softhsm2
       bzip2:bzip2 xz:xz-utils zstd:zstd fio:fio nwipe:nwipe scrub:scrub
       foremost:foremost photorec:testdisk
       radosgw:radosgw ceph-osd:ceph-osd ceph-mon:ceph-mon ceph-mgr:ceph-mgr memcached:memcached
       swift-proxy-server:swift-proxy swift-account-server:swift-account swift-container-server:swift-container
       swift-object-server:swift-object swift-ring-builder:swift npm:npm
       qemu-system-x86_64:qemu-system-x86 busybox:busybox-static modprobe:kmod ip:iproute2 dmsetup:dmsetup lvm:lvm2
       mdadm:mdadm cryptsetup:cryptsetup-bin nvme:nvme-cli sg_sanitize:sg3-utils hdparm:hdparm
       /usr/lib/mysql/plugin/provider_bzip2.so:mariadb-plugin-provider-bzip2
       /usr/lib/mysql/plugin/provider_lz4.so:mariadb-plugin-provider-lz4
       /usr/lib/mysql/plugin/provider_lzma.so:mariadb-plugin-provider-lzma
       /usr/lib/mysql/plugin/provider_snappy.so:mariadb-plugin-provider-snappy"

# Programs of the other registry, NAME@VERSION, into the project's own environment.
node_peers="fauxqs@1.9.2"
node_folder=$(dirname "$0")/../.venv/peers

say() { printf 'peers: %s\n' "$*"; }
die() { printf 'peers: %s\n' "$*" >&2; exit 1; }

missing_packages() {
  local peer
  for peer in $peers; do
    command -v "${peer%%:*}" >/dev/null || [ -e "${peer%%:*}" ] || printf '%s\n' "${peer##*:}"
  done
}

# Releases newer than this one, nearest first: where to look for a package that this one does not have.
later_releases() {
  case "$1" in
    bookworm) echo "trixie" ;;
    noble) echo "plucky questing resolute" ;;
    *) echo "" ;;
  esac
}

# Tests start servers by themselves: no package starts one while it is installed (Debian policy 9.3.3.1), and
# an SSH server that came here for tests does not start at the next boot either.
policy=/usr/sbin/policy-rc.d

install_packages() {
  local log
  log=$(mktemp /tmp/peers.XXXXXX)
  if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  apt-get install -y -qq --no-install-recommends "$@" >"$log" 2>&1 ||
    { tail -n 5 "$log" >&2; die "apt-get install failed; its words are in $log"; }
  rm -f "$log"
  case " $* " in
    *" openssh-server "*) if command -v systemctl >/dev/null; then systemctl --quiet disable ssh.service; fi ;;
  esac
}

# Fetch one package out of a later release of the same distribution, and install it beside what is there.
# The sources are a temporary copy of the machine's own, with the release's name replaced: same servers, same
# keyring, signatures checked by apt. Its dependencies come from the machine's own release.
install_from_later_release() {
  local package=$1 here release folder sources source
  here=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
  sources=$(apt-get indextargets --format '$(SOURCESENTRY)' 'Created-By: Packages' "Codename: $here" |
    sed 's/:[0-9]*$//' | sort -u)
  [ -n "$sources" ] || die "no package source of release '$here' found; install $package by hand"
  for release in $(later_releases "$here"); do
    folder=$(mktemp -d /tmp/peers.XXXXXX)
    mkdir -p "$folder/sources" "$folder/lists/partial" "$folder/cache/archives/partial" "$folder/fetched"
    for source in $sources; do
      sed "s/\b$here\b/$release/g" "$source" >"$folder/sources/${source##*/}"
    done
    if id _apt >/dev/null 2>&1; then chown -R _apt "$folder"; fi
    chmod -R a+rX "$folder"
    local later=(-qq -o "Dir::Etc::sourcelist=/dev/null" -o "Dir::Etc::sourceparts=$folder/sources"
      -o "Dir::State::lists=$folder/lists" -o "Dir::Cache=$folder/cache")
    say "$package is not in $here: looking in $release"
    if apt-get "${later[@]}" update && (cd "$folder/fetched" && apt-get "${later[@]}" download "$package"); then
      install_packages "$folder"/fetched/*.deb
      rm -rf "$folder"
      return
    fi
    rm -rf "$folder"
  done
  die "no release known here has $package; install it by hand and run this again"
}

install_node_peers() {
  local peer log
  for peer in $node_peers; do
    if [ "$(cat "$node_folder/$peer" 2>/dev/null)" = "$peer" ]; then continue; fi
    log=$(mktemp /tmp/peers.XXXXXX)
    say "installing $peer"
    npm install --silent --no-audit --no-fund --prefix "$node_folder" "$peer" >"$log" 2>&1 ||
      { tail -n 5 "$log" >&2; die "npm install $peer failed; its words are in $log"; }
    printf '%s\n' "$peer" >"$node_folder/$peer"
    rm -f "$log"
  done
}

main() {
  local wanted
  wanted=$(missing_packages)
  if [ -n "$wanted" ]; then install_missing "$wanted"; fi
  install_node_peers
}

install_missing() {
  local wanted=$1 known=() later=() package
  command -v apt-get >/dev/null || die "no apt here; install by hand: $(echo $wanted)"
  [ "$(id -u)" = 0 ] || die "missing; as root run: apt-get install $(echo $wanted)   (or this script)"
  say "installing $(echo $wanted)"
  apt-get -qq update
  for package in $wanted; do
    if [ -n "$(apt-cache madison "$package" 2>/dev/null)" ]; then known+=("$package"); else later+=("$package"); fi
  done
  if [ ${#known[@]} -gt 0 ]; then install_packages "${known[@]}"; fi
  for package in "${later[@]}"; do install_from_later_release "$package"; done
  wanted=$(missing_packages)
  [ -z "$wanted" ] || die "still missing after the install: $(echo $wanted)"
}

main
