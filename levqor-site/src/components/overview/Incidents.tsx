import Link from "next/link";

import { Panel } from "@/components/ui/Panel";
import { Pill } from "@/components/ui/Pill";
import { Time } from "@/components/ui/Time";
import type { Incident } from "@/lib/api";

import styles from "./Incidents.module.css";

const TONES = { open: "watch", escalated: "act", closed: "plain" } as const;
const SHOWN = 4;

interface Props {
  incidents: Incident[] | null;
  problem: string | undefined;
  isStale: boolean;
}

/** What was wrong lately, the newest first; what still is stands out. */
export function Incidents({ incidents, problem, isStale }: Props) {
  return (
    <Panel
      title="Incidents"
      aside={<Link href="/incidents" prefetch={false}>all incidents</Link>}
      problem={problem}
      isStale={isStale}
      empty={
        incidents?.length === 0 ? (
          <p>
            None so far. <code>levqor drill killworker</code> makes one on a stack of its own.
          </p>
        ) : undefined
      }
    >
      <ol className={styles.list}>
        {(incidents ?? []).slice(0, SHOWN).map((incident) => (
          <li key={incident.id}>
            <Pill tone={TONES[incident.state]}>{incident.state}</Pill>
            <Link href={`/incidents#${incident.id}`} prefetch={false} className={styles.cause}>
              {incident.cause}
            </Link>
            <span className={styles.when}>
              <Time at={incident.opened_at} />
            </span>
          </li>
        ))}
      </ol>
    </Panel>
  );
}
