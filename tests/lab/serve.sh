# Second program of the guest, with the host's own programs: take commands from a port, one a line, and answer
# each with its exit code. What a command prints goes into the share.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LC_ALL=C.UTF-8
export DM_DISABLE_UDEV=1 PYTHONDONTWRITEBYTECODE=1 DELEATUR_GUEST=1
. /run/share/settings
mkdir -p /lib/modules /dev/shm /dev/pts
ln -s "$MODULES" "/lib/modules/$(uname -r)"
ln -s /proc/self/fd /dev/fd
mount -t tmpfs shm /dev/shm
mount -t devpts pts /dev/pts
ip link set lo up
# shellcheck disable=SC2086  # a list of words
[ -z "$DRIVERS" ] || modprobe --all $DRIVERS
cd "$CHECKOUT" || exit
for port in /dev/vport*p1; do :; done
exec 3<>"$port"
echo ready >&3
while IFS= read -r command <&3; do
  bash -c "$command" </dev/null >/run/share/output 2>&1 3>&-
  echo "exit $?" >&3
done
