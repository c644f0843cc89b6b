"use client";

import { ReadPanel } from "@/components/ReadPanel";
import { Pill } from "@/components/ui/Pill";
import { Time } from "@/components/ui/Time";
import { useApi } from "@/hooks/useApi";
import type { Schemas } from "@/lib/api";
import { deployText } from "@/lib/marks";

import { TONES } from "./IncidentList";
import { IncidentSignals } from "./IncidentSignals";
import styles from "./IncidentStory.module.css";
import { RecoveryCard } from "./RecoveryCard";

type Story = Schemas["IncidentStory"];

const POLL_MS = 2000;

/** One incident: why, what was done about it step by step, and the signals around it. */
export function IncidentStory({ id }: { id: number }) {
  const story = useApi<Story>(`/ops/incidents/${id}`, POLL_MS);
  return (
    <ReadPanel title={`Incident ${id}`} read={story} aside={story.data !== undefined && <Pill tone={TONES[story.data.state]}>{story.data.state}</Pill>}>
      {(found) => (
        <div className={styles.story}>
          <p className={styles.cause}>{found.cause}</p>
          <dl className={styles.facts}>
            {found.deploys.map((deploy) => (
              <Fact key={deploy.id} name={deployText(deploy)} at={deploy.at} />
            ))}
            <Fact name="began" at={found.began_at} />
            <Fact name="opened" at={found.opened_at} />
            <Fact name="a person was asked" at={found.escalated_at} />
            <Fact name="closed" at={found.closed_at} />
            <div>
              <dt>automatic recoveries</dt>
              <dd>{found.attempts}</dd>
            </div>
          </dl>
          {found.recoveries.length === 0 ? (
            <p className={styles.quiet}>Nothing was done about it: it was recorded and told.</p>
          ) : (
            [...found.recoveries].reverse().map((recovery) => <RecoveryCard key={recovery.id} recovery={recovery} />)
          )}
          <IncidentSignals minutes={found.signals} deploys={found.deploys} />
          {Object.keys(found.evidence).length > 0 && (
            <details>
              <summary>Evidence</summary>
              <pre className={styles.evidence} role="region" tabIndex={0} aria-label="Evidence">
                {JSON.stringify(found.evidence, null, 2)}
              </pre>
            </details>
          )}
          <p className={styles.quiet}>
            As a post-mortem: <code>{`levqor incidents ${found.id} --report incident-${found.id}.md`}</code>
          </p>
        </div>
      )}
    </ReadPanel>
  );
}

function Fact({ name, at }: { name: string; at: string | null }) {
  if (at === null) return null;
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <Time at={at} />
      </dd>
    </div>
  );
}
