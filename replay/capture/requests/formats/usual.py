"""Access logs that are known by themselves, described as nginx describes its own.

Sources: nginx; ingress-nginx, "Log format"; Traefik, "Access logs"; HAProxy, configuration manual, 8.2.3; AWS,
"Access logs for your Application Load Balancer". Fields have nginx's names where it has one.
"""

from collections.abc import Mapping

COMBINED = '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent'
_REFERER = ' "$http_referer" "$http_user_agent"'
ALB = (
    "$type $time_iso8601 $elb $remote_addr:$remote_port $target_addr $request_processing_time "
    "$target_processing_time $response_processing_time $status $target_status $request_length "
    '$bytes_sent "$request" "$http_user_agent" $ssl_cipher $ssl_protocol $target_group '
    '"$http_x_amzn_trace_id"'
)
INGRESS = (  # of Kubernetes' ingress-nginx, upstreaminfo
    f"{COMBINED}{_REFERER} $request_length $request_time [$proxy_upstream_name] "
    "[$proxy_alternative_upstream_name] $upstream_addr $upstream_response_length "
    "$upstream_response_time $upstream_status $req_id"
)
TRAEFIK = (
    f'{COMBINED}{_REFERER} $requests_since_start "$router_name" "$upstream_addr" ${{duration_ms}}ms'
)
_HAPROXY = (  # option httplog; captured headers stand with the queues
    "$remote_addr:$remote_port [$begun_local] $frontend $backend/$server "
    "$time_request/$time_queue/$time_connect/$time_response/$duration_ms $status $bytes_sent "
    '$cookie_asked $cookie_told $ended $connections $queues "$request"'
)
USUAL: Mapping[str, str] = {
    "ALB": ALB,
    "ingress-nginx": INGRESS,
    "Traefik": TRAEFIK,
    "HAProxy": f"$syslog: {_HAPROXY}",
    "HAProxy, RFC 5424": f"$syslog - - {_HAPROXY}",
    "HAProxy, raw": _HAPROXY,
    "combined with request_time": f"{COMBINED}{_REFERER} $request_time",
    "combined with rt=": f"{COMBINED}{_REFERER} rt=$request_time",
    "vhost_combined": f"$host:$server_port {COMBINED}{_REFERER}",
    "main with request_time": f'{COMBINED}{_REFERER} "$http_x_forwarded_for" $request_time',
    "main": f'{COMBINED}{_REFERER} "$http_x_forwarded_for"',
    "combined": f"{COMBINED}{_REFERER}",
    "common": COMBINED,
}
"""Formats that are recognised; of those that match equally well the first is taken."""
