"use client";

import { ReadPanel } from "@/components/ReadPanel";
import { Pill, type Tone } from "@/components/ui/Pill";
import { Time } from "@/components/ui/Time";
import { useApi } from "@/hooks/useApi";
import type { Schemas } from "@/lib/api";

import styles from "./List.module.css";

const POLL_MS = 5000;
const TONES: Readonly<Record<string, Tone>> = { page: "act", ticket: "watch", info: "plain" };

export function severityTone(severity: string): Tone {
  return TONES[severity] ?? "unknown";
}

/** What is wrong now; each is told once through every channel, and once more when it is over. */
export function Episodes() {
  const episodes = useApi<Schemas["Episodes"]>("/ops/episodes", POLL_MS);
  return (
    <ReadPanel title="Wrong now" read={episodes} empty={({ episodes: found }) => found.length === 0 && <p>Nothing.</p>}>
      {({ episodes: found }) => (
        <ul className={styles.list}>
          {found.map((episode) => (
            <li key={episode.id}>
              <span>
                <Pill tone={severityTone(episode.severity)}>{episode.severity}</Pill> {episode.summary}{" "}
                <span className={styles.quiet}>
                  since <Time at={episode.opened_at} />
                </span>
              </span>
            </li>
          ))}
        </ul>
      )}
    </ReadPanel>
  );
}
