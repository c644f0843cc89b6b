"use client";

import { DeadGroups } from "@/components/incidents/DeadGroups";
import { DeadLetters } from "@/components/incidents/DeadLetters";
import { Guards } from "@/components/incidents/Guards";
import { IncidentList } from "@/components/incidents/IncidentList";
import { IncidentStory } from "@/components/incidents/IncidentStory";
import { Quarantine } from "@/components/incidents/Quarantine";
import { RecoverNow } from "@/components/incidents/RecoverNow";
import { PageTitle } from "@/components/PageTitle";
import { Panel } from "@/components/ui/Panel";
import { Waiting } from "@/components/Waiting";
import { useApi } from "@/hooks/useApi";
import { useHash } from "@/hooks/useHash";
import { useNow } from "@/hooks/useNow";
import { ApiError, type Schemas } from "@/lib/api";
import { chosenOf, openFirst } from "@/lib/incidents";

import styles from "./page.module.css";

const POLL_MS = 5000;
const LISTED = 200;

/** What went wrong, what was done about it, and what a person can do now. */
export default function IncidentsPage() {
  const read = useApi<Schemas["Incidents"]>(`/ops/incidents?limit=${LISTED}`, POLL_MS);
  const hash = useHash();
  const now = useNow();
  const { data, error } = read;
  if (data === undefined || (error instanceof ApiError && error.needsSignIn)) return <Waiting error={error} />;
  const isStale = read.isStaleAt(now) || error !== undefined;
  const incidents = openFirst(data.incidents);
  const chosen = chosenOf(hash, incidents);
  return (
    <>
      <PageTitle title="Incidents" lead="What went wrong, what was done about it step by step, and the jobs that died of it.">
        <RecoverNow />
      </PageTitle>
      <div className={styles.columns}>
        <div className={styles.stack}>
          <Guards guards={data.guards} isStale={isStale} />
          <Panel
            title="Timeline"
            isStale={isStale}
            empty={
              incidents.length === 0 ? (
                <p>
                  No incident so far. <code>levqor drill poison</code> makes one on a stack of its own.
                </p>
              ) : undefined
            }
          >
            <IncidentList incidents={incidents} chosen={chosen} />
            {incidents.length === LISTED && <p>These are the newest {LISTED}; an older one opens by its number in the address.</p>}
          </Panel>
        </div>
        <div id="story" className={styles.story}>
          {chosen !== null && <IncidentStory key={chosen} id={chosen} />}
          {chosen === null && <Panel title="Incident" empty={<p>An incident would be told here: its recoveries, their steps, and the signals around it.</p>} />}
        </div>
      </div>
      <div className={styles.stack}>
        <DeadGroups />
        <DeadLetters />
        <Quarantine />
      </div>
    </>
  );
}
