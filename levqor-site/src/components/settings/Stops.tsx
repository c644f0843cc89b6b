"use client";

import { useState } from "react";

import { ReadPanel } from "@/components/ReadPanel";
import { Button } from "@/components/ui/Button";
import { Confirm } from "@/components/ui/Confirm";
import { Time } from "@/components/ui/Time";
import { useApi } from "@/hooks/useApi";
import { useChange } from "@/hooks/useSession";
import type { Schemas } from "@/lib/api";
import { capitalised, span } from "@/lib/format";
import { holderOf } from "@/lib/holds";

import styles from "./List.module.css";

type Paused = Schemas["PausedQueue"];

const POLL_MS = 5000;

/** What people have stopped: holds of everything automatic, and queues whose jobs wait. */
export function Stops() {
  const stops = useApi<Schemas["Stops"]>("/ops/holds", POLL_MS);
  const [asked, setAsked] = useState<Paused | null>(null);
  return (
    <>
      <ReadPanel
        title="Holds and paused queues"
        read={stops}
        empty={({ holds, paused }) =>
          holds.length + paused.length === 0 && (
            <p>
              None. The button at the top right holds everything automatic; <code>levqor pause QUEUE</code> lets a queue's jobs wait.
            </p>
          )
        }
      >
        {({ holds, paused }) => (
          <ul className={styles.list}>
            {holds.map((hold) => (
              <li key={`hold ${hold.id ?? hold.kind}`}>
                <span>
                  <strong>{capitalised(holderOf(hold))}</strong>
                  {hold.why !== "" && `: ${hold.why}`}
                  <span className={styles.quiet}>
                    {" "}
                    since <Time at={hold.created_at} />
                    {hold.remaining_s === null ? ", until released" : `, for ${span(hold.remaining_s)} more`}
                  </span>
                </span>
              </li>
            ))}
            {paused.map((queue) => (
              <li key={`queue ${queue.queue}`}>
                <span>
                  <strong>Queue {queue.queue}</strong> paused by {queue.owner}
                  {queue.why !== "" && `: ${queue.why}`}
                  <span className={styles.quiet}>
                    {" "}
                    since <Time at={queue.paused_at} />
                  </span>
                </span>
                <Button aria-label={`Resume… queue ${queue.queue}`} onClick={() => setAsked(queue)}>
                  Resume…
                </Button>
              </li>
            ))}
          </ul>
        )}
      </ReadPanel>
      {asked !== null && <Resume paused={asked} onClose={() => setAsked(null)} />}
    </>
  );
}

function Resume({ paused, onClose }: { paused: Paused; onClose: () => void }) {
  const change = useChange();
  return (
    <Confirm
      title={`Resume queue ${paused.queue}?`}
      action="Resume"
      onClose={onClose}
      onConfirm={async () => {
        await change("POST", `/ops/queues/${encodeURIComponent(paused.queue)}/resume`);
      }}
    >
      <p>The workers take its waiting jobs again at once.</p>
    </Confirm>
  );
}
