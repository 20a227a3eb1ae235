#!/bin/sh
# An execution plane of Keptn in sh, awk and curl. See README.md.
set -u
: "${KEPTN_API_ENDPOINT:?such as http://ringway:8080/p/my-script/api}" "${WORK:?the command that does a task}"
NAME=${NAME:-script-plane} NAMESPACE=${NAMESPACE:-default} TYPES=${TYPES:-sh.keptn.event.deployment.triggered} QUERY=${QUERY:-}
STATE=${STATE:-./$NAME.state} INTERVAL=${INTERVAL:-5} PING=${PING:-60} WAIT=${WAIT:-20} HOME_DIR=$PWD TAB=$(printf '\t')
export LC_ALL=C
mkdir -p "$STATE" && cd "$STATE" && rm -f ./*.tag && find . -name '*.done' -mtime +7 -exec rm -f {} + || exit 1

log() { echo "$(date -u +%H:%M:%S) $*" >&2; }

# call METHOD PATH [FILE]: the answer is in file $out and its status in $code. The token is not shown to ps.
call() {
	code=$(printf 'header = "x-token: %s"\n' "${KEPTN_API_TOKEN:-}" | curl -sS -K - -X "$1" -m $((${wait:-0} + 15)) \
		-H 'Content-Type: application/json' -H "If-None-Match: ${tag:-}" -H "Prefer: wait=${wait:-0}" \
		--data-binary "@${3:-/dev/null}" -D "$out.head" -o "$out" -w '%{http_code}' "$KEPTN_API_ENDPOINT$2") || code=000
	case $code in 20[0-4] | 304) ;; *) log "$1 $2: $code $([ "$code" = 000 ] || head -c 200 "$out")" && return 1 ;; esac
}

# post FILE tries until the event is taken, or refused for good.
post() {
	pause=1
	until call POST /v1/event "$1"; do
		case $code in 401 | 403 | 404 | 408 | 429) ;; 4*) return 1 ;; esac
		sleep $pause && pause=$((pause < 16 ? pause * 2 : 30))
	done
}

# quote makes a JSON string of a text; plain takes a simple one apart.
quote() { printf '"%s"' "$(printf %s "$1" | tr -d '\000-\037' | sed 's/[\\"]/\\&/g')"; }
plain() { printf %s "$1" | tr -d '"'; }

# event KIND MORE [AS] writes an answer to the task at hand into $id.KIND. One that is posted again has the same id.
event() {
	printf '{"specversion":"1.0","id":"%s-%s","source":%s,"type":"%s.%s","time":"%s","contenttype":"application/json",%s%s}}' \
		"$id" "${3:-$1}" "$(quote "$NAME")" "${type%.triggered}" "$1" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "\"shkeptncontext\":$context,\
\"triggeredid\":\"$id\",\"data\":{\"project\":$project,\"stage\":$stage,\"service\":$service,\"labels\":$labels" "$2" >new && mv new "$id.$1"
}

# flat reads a page and prints nextPageKey, then a line for each event, with the values as they are in JSON.
flat() {
	awk '
	function blank() { while (substr(s, i, 1) == " ") i++ }
	function text(  j, c) { j = i++; while ((c = substr(s, i, 1)) != "\"" && c != "") i += c == "\\" ? 2 : 1; i++; return substr(s, j, i - j) }
	function value(path,  c, j, k, n) {
		blank(); c = substr(s, i, 1); j = i
		if (c == "\"") text()
		else if (c == "{" || c == "[") {
			i++; blank(); if (index("]}", substr(s, i, 1))) i++; else do {
				blank(); if (c == "{") { k = text(); k = substr(k, 2, length(k) - 2); blank(); i++ } else k = 0 + n++
				value(path "." k); blank(); i++
			} while (substr(s, i - 1, 1) == ",")
		} else while (substr(s, i, 1) ~ /[-+.0-9A-Za-z]/) i++
		v[path] = substr(s, j, i - j)
	}
	function get(path) { return (path in v ? v[path] : "null") "\t" }
	{ s = s $0 " " }
	END {
		gsub(/[\t\r]/, " ", s); i = 1; value(""); print get(".nextPageKey")
		for (n = 0; (e = ".events." n) in v; n++) print get(e ".id") get(e ".shkeptncontext") get(e ".data.project") get(e ".data.stage") \
			get(e ".data.service") get(e ".data.labels") get(e ".data")
	}' "$1"
}

# task does the task at hand once, whatever happens to this script in between.
task() {
	[ ! -e "$id.done" ] || return 0
	if [ ! -e "$id.finished" ] && [ -e "$id.sent" ]; then # it was interrupted in the middle
		event finished ',"status":"errored","result":"fail","message":"interrupted"'
	elif [ ! -e "$id.finished" ]; then
		log "task $id" && event started '' && post "$id.started" || return 0
		: >"$id.sent" && n=0
		{ printf %s "$data" | (cd "$HOME_DIR" && PROJECT=$(plain "$project") STAGE=$(plain "$stage") SERVICE=$(plain "$service") sh -c "$WORK") && : >"$id.ok"; } | while IFS= read -r line || [ -n "$line" ]; do
			n=$((n + 1)) && quote "$line" >"$id.last"
			event status.changed ",\"message\":$(cat "$id.last")" "changed-$n" && post "$id.status.changed" || log "line $n is refused"
		done
		[ -e "$id.ok" ] && how='"status":"succeeded","result":"pass"' || how='"status":"errored","result":"fail"'
		event finished ",$how,\"message\":$(cat "$id.last" 2>/dev/null || echo '""')"
	fi
	post "$id.finished" || log ".finished is refused"
	: >"$id.done" && rm -f "$id".[!d]*
}

# poll asks for one type, for $1 seconds if the server can wait, and does what is new.
poll() {
	key=
	while tag=$([ -n "$key" ] || cat "$type.tag" 2>/dev/null || :) wait=$1; do
		call GET "/controlPlane/v1/event/triggered/$type?pageSize=100$QUERY${key:+&nextPageKey=$key}" || { wait='' && return 1; }
		wait='' tag='' answer=$code
		[ "$code" != 304 ] || return 0
		[ -n "$key" ] || sed -n 's/^[Ee][Tt][Aa][Gg]: *//p' page.head | tr -d '\r' >"$type.tag"
		flat page >list && key=$(head -n 1 list | tr -d '"\t') && sed 1d list >events
		while IFS=$TAB read -r id context project stage service labels data; do
			id=${id#?} && id=${id%?}
			case $id in '' | *[!0-9A-Za-z-]*) log "no id: $id" ;; *) task ;; esac
		done <events
		case $key in '' | 0 | null) return 0 ;; esac
	done
}

# register keeps the plane registered as long as this script lives. Polls are served without, but then nobody sees it.
register() {
	out=ping rid='' list=''
	for t in $TYPES; do list="$list${list:+,}{\"event\":\"$t\",\"filter\":{\"projects\":[],\"stages\":[],\"services\":[]}}"; done
	printf '{"name":%s,"metadata":{"hostname":%s,"integrationversion":"1","distributorversion":"0.19.3","location":"script",%s},"subscriptions":[%s]}' \
		"$(quote "$NAME")" "$(quote "$(uname -n)")" "\"kubernetesmetadata\":{\"namespace\":$(quote "$NAMESPACE")}" "$list" >registration
	while kill -0 $$ 2>/dev/null; do
		[ -n "$rid" ] || { call POST /controlPlane/v1/uniform/registration registration && rid=$(sed 's/.*"id" *: *"\([^"]*\)".*/\1/' ping); }
		[ -z "$rid" ] || call PUT "/controlPlane/v1/uniform/registration/$rid/ping" || { [ "$code" != 404 ] || rid=''; }
		n=0 && while [ $n -lt "$PING" ] && kill -0 $$ 2>/dev/null; do n=$((n + 1)) && sleep 1; done
	done
}

[ "${REGISTER:-yes}" != yes ] || register &
out=page && while :; do
	for type in $TYPES; do
		began=$(date +%s) && [ "$type" = "$TYPES" ] || WAIT=0
		poll "$WAIT" && [ -s "$type.tag" ] && [ "$answer-$(($(date +%s) - began))" != 304-0 ] && [ "$WAIT" != 0 ] || sleep "$INTERVAL"
	done
done
