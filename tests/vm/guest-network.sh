#!/usr/bin/env bash
# slirp4netns over udev's /dev/net/tun: out, in, and names.
# user: u1
# shellcheck source=tests/vm/tap.sh
. "$(dirname "$0")/tap.sh"
"$c" pull -q oci:/srv/images/busybox:latest >/dev/null
image=$("$c" images -q | head -n 1)
address=$(ip -4 -o addr show scope global | awk '{ sub("/.*", "", $4); print $4; exit }')
www=$(mktemp -d)
echo from outside >"$www/index.html"
busybox httpd -f -p "$address:8000" -h "$www" &
outside=$!
busybox httpd -f -p 127.0.0.1:8001 -h "$www" &
own=$!
trap 'kill $outside $own' EXIT

is 'users may open /dev/net/tun here' crw-rw-rw- "$(stat -c %A /dev/net/tun)"
check 'the server answers' soon busybox wget -q -O- "http://$address:8000/"
check 'and the one on loopback, to this machine' soon busybox wget -q -O- http://127.0.0.1:8001/
is 'a container reaches out' 'from outside' "$("$c" run --rm --network slirp4netns "$image" timeout 20 wget -q -O- "http://$address:8000/")"
like 'and has a resolver' 'nameserver 10.0.2.3' "$("$c" run --rm --network slirp4netns "$image" cat /etc/resolv.conf)"
is 'without network it has only loopback' lo "$("$c" run --rm --network none "$image" ls /sys/class/net)"
is 'the loopback of this machine stays its own' '' \
  "$("$c" run --rm --network slirp4netns "$image" timeout 20 wget -q -O- http://10.0.2.2:8001/ 2>/dev/null)"

"$c" run -d --name web --network slirp4netns -p 8080:80 "$image" sh -c 'mkdir /www; echo from inside >/www/index.html; exec httpd -f -p 80 -h /www' >/dev/null
check 'a published port answers' soon busybox wget -q -O /dev/null http://127.0.0.1:8080/
is 'with what the container says' 'from inside' "$(busybox wget -q -O- http://127.0.0.1:8080/)"
exits 'the same port is refused twice' '125|126' "$c" run --rm --network slirp4netns -p 8080:80 "$image" true
check 'the container stops' "$c" rm -f -t 0 web
exits 'and the port is closed' 1 busybox wget -q -O /dev/null http://127.0.0.1:8080/
is 'no slirp4netns is left' '' "$(pgrep -u "$USER" slirp4netns || true)"
plan
