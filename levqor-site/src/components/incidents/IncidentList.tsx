"use client";

import { Pill } from "@/components/ui/Pill";
import { useNow } from "@/hooks/useNow";
import { type Incident, incidentSpan } from "@/lib/incidents";

import styles from "./IncidentList.module.css";

export const TONES = { open: "watch", escalated: "act", closed: "plain" } as const;

interface Props {
  incidents: readonly Incident[];
  chosen: number | null;
}

/** The timeline: each incident opens beside it and can be linked to. */
export function IncidentList({ incidents, chosen }: Props) {
  const now = useNow();
  return (
    <ol className={styles.list}>
      {incidents.map((incident) => (
        <li key={incident.id}>
          <a href={`#${incident.id}`} aria-current={incident.id === chosen ? "true" : undefined} className={styles.row} onClick={showStory}>
            <span className={styles.head}>
              <strong>#{incident.id}</strong> <Pill tone={TONES[incident.state]}>{incident.state}</Pill>
            </span>
            <span className={styles.cause}>{incident.cause}</span>
            <span className={styles.when}>{incidentSpan(incident, now)}</span>
          </a>
        </li>
      ))}
    </ol>
  );
}

/** On a phone the story is below the list: go there. */
function showStory(): void {
  if (matchMedia("(max-width: 900px)").matches) document.getElementById("story")?.scrollIntoView();
}
