"use client";

import { useState } from "react";

import { ReadPanel } from "@/components/ReadPanel";
import { Button } from "@/components/ui/Button";
import { Confirm } from "@/components/ui/Confirm";
import { Pill, type Tone } from "@/components/ui/Pill";
import { Time } from "@/components/ui/Time";
import { useApi } from "@/hooks/useApi";
import { useChange } from "@/hooks/useSession";
import type { Schemas } from "@/lib/api";
import { count } from "@/lib/format";

import { severityTone } from "./Episodes";
import styles from "./List.module.css";

type Delivery = Schemas["Delivery"];
type Channel = Schemas["AlertChannel"];

const POLL_MS = 10_000;
const LISTED = 20;
const TONES: Readonly<Record<string, Tone>> = { sent: "ok", failed: "act", pending: "watch", sending: "watch", unknown: "unknown" };

/** Who is told, whether it arrives, and what was told lately. */
export function Alerts() {
  const alerts = useApi<Schemas["Alerts"]>(`/ops/alerts?limit=${LISTED}`, POLL_MS);
  const [isAsking, setAsking] = useState(false);
  const [tested, setTested] = useState<Delivery[] | null>(null);
  const channels = alerts.data?.channels ?? [];
  return (
    <>
      <ReadPanel
        title="Alerts"
        read={alerts}
        aside={
          <Button disabled={channels.length === 0} title={channels.length === 0 ? "No channel is configured" : undefined} onClick={() => setAsking(true)}>
            Send a test…
          </Button>
        }
      >
        {(found) => (
          <>
            {found.channels.length === 0 ? (
              <p>
                Nobody is told: no channel is configured. Set <code>ALERT_WEBHOOK_URL</code>, <code>ALERT_URLS</code>, or <code>TELEGRAM_BOT_TOKEN</code>{" "}
                with <code>TELEGRAM_CHAT_ID</code>.
              </p>
            ) : (
              <ul className={styles.list}>
                {found.channels.map((channel) => (
                  <li key={channel.channel}>
                    <strong>{channel.channel}</strong>
                    <span>{channelText(channel)}</span>
                  </li>
                ))}
              </ul>
            )}
            <p role="status">{tested !== null && <Deliveries deliveries={tested} />}</p>
            <details>
              <summary>The last {count(found.alerts.length)} alerts</summary>
              <ul className={styles.list}>
                {found.alerts.map((alert) => (
                  <li key={alert.id}>
                    <div>
                      <Pill tone={severityTone(alert.severity)}>{alert.severity}</Pill> <strong>{alert.title}</strong>{" "}
                      <span className={styles.quiet}>
                        <Time at={alert.created_at} />
                      </span>
                      <p className={styles.text}>{alert.text}</p>
                      <Deliveries deliveries={alert.deliveries} />
                    </div>
                  </li>
                ))}
              </ul>
            </details>
          </>
        )}
      </ReadPanel>
      {isAsking && <Test channels={channels} onTested={setTested} onClose={() => setAsking(false)} />}
    </>
  );
}

function channelText(channel: Channel): string {
  const waiting = channel.pending + channel.sending;
  return [
    `${count(channel.sent)} sent`,
    ...(waiting > 0 ? [`${count(waiting)} on their way`] : []),
    ...(channel.failed > 0 ? [`${count(channel.failed)} failed`] : []),
    ...(channel.unknown > 0 ? [`${count(channel.unknown)} may have arrived`] : []),
  ].join(", ");
}

function Deliveries({ deliveries }: { deliveries: readonly Delivery[] }) {
  return deliveries.map((delivery) => (
    <span key={delivery.channel ?? ""} title={delivery.error ?? undefined}>
      <Pill tone={TONES[delivery.state] ?? "unknown"}>
        {delivery.channel ?? "no channel"}: {delivery.state}
      </Pill>{" "}
      {delivery.error !== null && <span className={styles.problem}>{delivery.error} </span>}
    </span>
  ));
}

function Test({ channels, onTested, onClose }: { channels: readonly Channel[]; onTested: (found: Delivery[]) => void; onClose: () => void }) {
  const change = useChange();
  return (
    <Confirm
      title="Send a test alert?"
      action="Send"
      onClose={onClose}
      onConfirm={async () => {
        onTested((await change<Schemas["AlertTest"]>("POST", "/ops/alerts/test")).deliveries);
      }}
    >
      <p>
        Everybody behind {channels.map(({ channel }) => channel).join(", ")} gets a message that says it is a test. It takes up to half a minute to know
        what became of it.
      </p>
    </Confirm>
  );
}
