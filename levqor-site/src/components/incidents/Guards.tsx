"use client";

import { useState } from "react";

import { Button } from "@/components/ui/Button";
import { Confirm } from "@/components/ui/Confirm";
import { Panel } from "@/components/ui/Panel";
import { Pill } from "@/components/ui/Pill";
import { useChange } from "@/hooks/useSession";
import type { Schemas } from "@/lib/api";
import { ago, plural } from "@/lib/format";

import styles from "./Guards.module.css";

interface Props {
  guards: Schemas["Guards"];
  isStale: boolean;
}

/** May the watchdog recover by itself now, and what keeps it from it. */
export function Guards({ guards, isStale }: Props) {
  const [isAsking, setAsking] = useState(false);
  const change = useChange();
  const failed = plural(guards.failed_in_a_row, "automatic recovery").replace("recoverys", "recoveries");
  return (
    <Panel
      title="Automatic recovery"
      isStale={isStale}
      aside={guards.failed_in_a_row > 0 && <Button onClick={() => setAsking(true)}>Rearm</Button>}
    >
      {guards.refuses.length === 0 ? (
        <p>
          <Pill tone="ok">armed</Pill> No guard keeps it from acting when the watchdog calls.
        </p>
      ) : (
        <>
          <p>
            <Pill tone="watch">does not act</Pill> Of the guards {guards.refuses.length === 1 ? "one says" : `${guards.refuses.length} say`} no:
          </p>
          <ul className={styles.guards}>
            {guards.refuses.map((guard) => (
              <li key={guard.refused}>
                <code>{guard.refused}</code> {guard.reason}
              </li>
            ))}
          </ul>
        </>
      )}
      <p className={styles.quiet}>
        {guards.since_last_automatic_s === null ? "None acted in the last 24 hours" : `The last one acted ${ago(guards.since_last_automatic_s)}`}
        {guards.failed_in_a_row > 0 && `; ${failed} in a row without effect`}. A person's call is bound by none of this.
      </p>
      {isAsking && (
        <Confirm
          title="Arm automatic recovery again?"
          action="Rearm"
          onClose={() => setAsking(false)}
          onConfirm={async () => {
            await change<Schemas["Rearmed"]>("POST", "/ops/rearm");
          }}
        >
          <p>
            {failed} without effect {guards.failed_in_a_row === 1 ? "is" : "are"} acknowledged and no longer counted. Other guards stay as they are.
          </p>
        </Confirm>
      )}
    </Panel>
  );
}
