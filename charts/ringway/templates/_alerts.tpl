{{/*
The alerts, as a list of: name, expression, for, severity, summary. OF stands for
the labels of the stamp's gateways, with a comma before others. docs/runbooks.md
has a heading for each. A counter with labels is there only from the first count on,
which increase() does not see: that it was not there before says it.
*/}}
{{- define "ringway.alerts" -}}
{{- $t := .Values.metrics.prometheusRule.thresholds }}
- [RingwayAbsent, 'absent(ringway_ready{OF})', 5m, critical, 'nothing is scraped from any gateway of the stamp']
- [RingwayNotReady, 'ringway_ready{OF} == 0', 5m, critical, 'gateway {{`{{ $labels.pod }}`}} cannot serve the clients of its stamp']
- [RingwayPartFailed, 'ringway_parts_failed{OF} > 0', 5m, warning, '{{`{{ $value }}`}} parts of gateway {{`{{ $labels.pod }}`}} do not work']
- [RingwayVersionsDiffer, 'count(count by (version) (ringway_build_info{OF})) > 1', 1h, info, 'its replicas run different versions']
- [RingwayOpenFiles, 'process_open_fds{OF} / process_max_fds{OF} > 0.8', 10m, warning, 'gateway {{`{{ $labels.pod }}`}} has more than 80 % of the files open that it may']
- [RingwayLinkDown, 'ringway_link_up{OF} == 0', 5m, warning, 'the {{`{{ $labels.kind }}`}} connection to {{`{{ $labels.peer }}`}} is down']
- [RingwayStampOutOfReach, 'ringway_canary_age_seconds{OF} > {{ int $t.canarySeconds }}', 1m, critical, 'no event gets through to stamp {{`{{ $labels.to }}`}} and back']
- [RingwayCanariesLost, 'increase(ringway_canary_lost_total{OF}[15m]) > {{ int $t.canariesLost }}', 5m, warning, 'canaries to stamp {{`{{ $labels.to }}`}} are lost again and again']
- [RingwayClockOff, 'abs(ringway_canary_clock_offset_seconds{OF}) > {{ int $t.clockSeconds }}', 5m, warning, 'the clock of stamp {{`{{ $labels.to }}`}} is {{`{{ $value | humanizeDuration }}`}} off ours']
- [RingwayOutboxGrows, 'ringway_outbox_events{OF} > {{ int $t.outboxEvents }} and delta(ringway_outbox_events{OF}[10m]) > 0', 10m, warning, '{{`{{ $value }}`}} events are held for stamp {{`{{ $labels.to }}`}}, and there are more and more']
- [RingwayOutboxOld, 'ringway_outbox_held_seconds{OF} > {{ int $t.outboxSeconds }}', 1m, warning, 'events for stamp {{`{{ $labels.to }}`}} have been held for {{`{{ $value | humanizeDuration }}`}}']
- [RingwayEventsWait, 'ringway_events_waiting{OF} > {{ int $t.eventsWaiting }}', 15m, warning, '{{`{{ $value }}`}} events wait for a subscriber']
- [RingwayEventsWaitLong, 'ringway_events_waiting_oldest_seconds{OF} > {{ int $t.waitingSeconds }}', 5m, warning, 'an event has waited for a subscriber for {{`{{ $value | humanizeDuration }}`}}']
- [RingwayFrozen, 'ringway_holding{OF} > 0', {{ $t.frozenFor }}, warning, 'an operator has the stamp hold what begins something new ({{`{{ $labels.mode }}`}})']
- [RingwayEventsSlow, 'histogram_quantile(0.99, sum by (le, from) (rate(ringway_event_delay_seconds_bucket{OF}[10m]))) > {{ int $t.delaySeconds }}', 15m, warning, 'one event in a hundred from stamp {{`{{ $labels.from }}`}} takes {{`{{ $value | humanizeDuration }}`}} or more']
- [RingwayDeadLetters, 'increase(ringway_dead_letters_total{OF}[15m]) > 0 or ringway_dead_letters_total{OF} unless ringway_dead_letters_total{OF} offset 15m', 0m, warning, 'events were set aside ({{`{{ $labels.side }}`}}): {{`{{ $labels.reason }}`}}']
- [RingwayDeadLettersKept, 'max(ringway_dead_letters{OF}) > {{ int $t.deadLetters }}', 15m, warning, '{{`{{ $value }}`}} dead letters are kept; the oldest go when there are 10000']
- [RingwayAnswersRefused, 'increase(ringway_task_answers_refused_total{OF}[15m]) > 0 or ringway_task_answers_refused_total{OF} unless ringway_task_answers_refused_total{OF} offset 15m', 0m, warning, 'answers of stamp {{`{{ $labels.from }}`}} to tasks were refused: {{`{{ $labels.reason }}`}}']
- [RingwayEventsLost, 'increase(ringway_capture_lost_total{OF}[15m]) > 0', 0m, critical, 'events that clients published were lost']
- [RingwayCaptureStuck, 'ringway_capture_waiting{OF} > 0', 2m, critical, '{{`{{ $value }}`}} events that clients of {{`{{ $labels.pod }}`}} published are not stored']
- [RingwayStoreInTrouble, 'ringway_store_troubles{OF} > 0', 1m, critical, 'streams of {{`{{ $labels.pod }}`}} cannot be written, or are damaged']
- [RingwayDiskLow, 'ringway_disk_free_bytes{OF} / ringway_disk_size_bytes{OF} * 100 < {{ int $t.diskPercent }}', 5m, warning, '{{`{{ $value | printf "%.0f" }}`}} % of the disk of {{`{{ $labels.pod }}`}} are free']
- [RingwayDiskFull, 'ringway_disk_free_bytes{OF} / ringway_disk_size_bytes{OF} * 100 < {{ int $t.diskFullPercent }}', 1m, critical, '{{`{{ $value | printf "%.0f" }}`}} % of the disk of {{`{{ $labels.pod }}`}} are free']
- [RingwayIdentityExpires, 'ringway_expires_timestamp_seconds{OF} - time() < {{ int $t.expiryDays }} * 86400', 5m, warning, '{{`{{ $labels.file }}`}} of the identity expires in {{`{{ $value | humanizeDuration }}`}}']
- [RingwayIdentityExpiresNow, 'ringway_expires_timestamp_seconds{OF} - time() < {{ int $t.expiryHours }} * 3600', 1m, critical, '{{`{{ $labels.file }}`}} of the identity expires in {{`{{ $value | humanizeDuration }}`}}']
- [RingwayReloadRefused, 'ringway_topology_refused{OF} > 0', 2m, warning, 'a changed topology or identity is not in force at {{`{{ $labels.pod }}`}}']
- [RingwayTopologyDiffers, 'ringway_topology_differs{OF} > 0', {{ $t.topologyFor }}, warning, 'stamp {{`{{ $labels.to }}`}} has another topology in force']
- [RingwayRestartPending, 'ringway_topology_pending{OF} > 0', {{ $t.pendingFor }}, warning, '{{`{{ $value }}`}} changes of the topology wait for a restart of {{`{{ $labels.pod }}`}}']
- [RingwayRightsRefused, 'increase(ringway_nats_refused_total{OF}[15m]) > 0', 0m, warning, 'NATS refuses gateway {{`{{ $labels.pod }}`}} something that it needs']
- [RingwayPlanesUnconfirmed, 'ringway_planes_unconfirmed_seconds{OF} > {{ int $t.planesSeconds }}', 1m, warning, 'a control plane has not confirmed a plane of the stamp for {{`{{ $value | humanizeDuration }}`}}']
- [RingwayPlanesRefused, 'increase(ringway_plane_syncs_total{OF,result="refused"}[15m]) > 0 or ringway_plane_syncs_total{OF,result="refused"} unless ringway_plane_syncs_total{OF,result="refused"} offset 15m', 5m, warning, 'control plane {{`{{ $labels.control }}`}} refuses to register a plane of the stamp']
- [RingwayPlanesGone, 'sum by (how) (max by (how, state) (ringway_planes{OF,state="gone"})) > 0', 5m, info, '{{`{{ $value }}`}} planes ({{`{{ $labels.how }}`}}) say nothing any more']
- [RingwayControlPlaneOutOfReach, 'time() - ringway_pull_last_poll_timestamp_seconds{OF} > {{ int $t.pollSeconds }}', 1m, critical, 'control plane {{`{{ $labels.control }}`}} does not answer']
- [RingwayControlPlaneRefuses, 'increase(ringway_pull_posts_total{OF,result="refused"}[15m]) > 0 or ringway_pull_posts_total{OF,result="refused"} unless ringway_pull_posts_total{OF,result="refused"} offset 15m', 0m, warning, 'control plane {{`{{ $labels.control }}`}} refuses answers']
- [RingwayTunnelErrors, 'sum by (to) (rate(ringway_tunnel_requests_total{OF,result=~"5xx|busy|no-replica|no-route|protocol|replica-lost|stopping|timeout|upstream-failed|upstream-refused"}[10m])) / sum by (to) (rate(ringway_tunnel_requests_total{OF}[10m])) * 100 > {{ int $t.tunnelErrorPercent }}', 10m, warning, '{{`{{ $value | printf "%.0f" }}`}} % of the requests to stamp {{`{{ $labels.to }}`}} fail']
- [RingwayTracesLost, 'sum by (result) (increase(ringway_trace_spans_total{OF,result=~"dropped|failed"}[15m])) > 0', 15m, info, 'spans of traces are lost ({{`{{ $labels.result }}`}})']
{{- if gt (int .Values.replicaCount) 1 }}
- [RingwayReplicaAway, 'ringway_replica_peers{OF} < {{ sub (int .Values.replicaCount) 1 }}', 5m, warning, 'replica {{`{{ $labels.pod }}`}} does not reach all others']
- [RingwayNoQuorum, 'ringway_replica_quorum{OF} == 0', 1m, critical, 'replica {{`{{ $labels.pod }}`}} has no majority, and stores nothing']
- [RingwayNoActiveReplica, 'sum(ringway_replica_active{OF}) == 0', 1m, critical, 'no replica forwards and delivers']
- [RingwaySeveralActiveReplicas, 'sum(ringway_replica_active{OF}) > 1', 2m, critical, '{{`{{ $value }}`}} replicas forward and deliver']
{{- end }}
{{- end }}
