"use client";

import { useState } from "react";

import { ReadPanel } from "@/components/ReadPanel";
import { Button } from "@/components/ui/Button";
import { Confirm } from "@/components/ui/Confirm";
import { More } from "@/components/ui/More";
import { Cell, Table } from "@/components/ui/Table";
import { Time } from "@/components/ui/Time";
import { useApi } from "@/hooks/useApi";
import { useDryRun } from "@/hooks/useDryRun";
import { useChange } from "@/hooks/useSession";
import type { Schemas } from "@/lib/api";
import { count, plural, UNKNOWN } from "@/lib/format";

import styles from "./Dead.module.css";

type Wish = { ids: string[] } | { all: true };
type Answer = Schemas["ReleaseAnswer"];

const POLL_MS = 10_000;
const FIRST = 10;

/** What died again after too many flushes: no recovery touches it until a person releases it. */
export function Quarantine() {
  const [limit, setLimit] = useState(FIRST);
  const page = useApi<Schemas["QuarantinePage"]>(`/ops/dead/quarantined?limit=${limit}`, POLL_MS);
  const [wish, setWish] = useState<Wish | null>(null);
  const [said, setSaid] = useState("");
  return (
    <>
      <ReadPanel
        title="Quarantine"
        read={page}
        aside={
          <>
            <span role="status">{said}</span>
            <span>{count(page.data?.total)} in all</span>
            {(page.data?.total ?? 0) > 0 && <Button onClick={() => setWish({ all: true })}>Release all…</Button>}
          </>
        }
        empty={({ quarantined }) => quarantined.length === 0 && <p>Empty: no job died again after its last flush.</p>}
      >
        {({ quarantined }) => (
          <>
            <Table label="Quarantined jobs" head={["since", "function", "error", "why", ""]}>
              {quarantined.map((letter) => (
                <tr key={letter.job_id}>
                  <Cell of="since">{letter.quarantined_at === null ? UNKNOWN : <Time at={letter.quarantined_at} />}</Cell>
                  <Cell of="function">{letter.handler}</Cell>
                  <Cell of="error">{letter.error ?? "not recorded"}</Cell>
                  <Cell of="why">{letter.why ?? "not recorded"}</Cell>
                  <td className={styles.acts}>
                    <Button aria-label={`Release… job ${letter.job_id}`} onClick={() => setWish({ ids: [letter.job_id] })}>
                      Release…
                    </Button>
                  </td>
                </tr>
              ))}
            </Table>
            <More shown={quarantined.length} limit={limit} onMore={setLimit} />
          </>
        )}
      </ReadPanel>
      {wish !== null && <Release wish={wish} onSaid={setSaid} onClose={() => setWish(null)} />}
    </>
  );
}

function Release({ wish, onSaid, onClose }: { wish: Wish; onSaid: (said: string) => void; onClose: () => void }) {
  const change = useChange();
  const { plan, problem } = useDryRun<Answer>("/ops/dead/quarantined/release", wish);
  return (
    <Confirm
      title="Release from quarantine?"
      action="Release"
      isReady={plan !== undefined && plan.chosen > 0}
      onClose={onClose}
      onConfirm={async () => {
        onSaid(`${plural((await change<Answer>("POST", "/ops/dead/quarantined/release", wish)).released, "job")} released.`);
      }}
    >
      {plan === undefined ? (
        <p aria-busy={problem === undefined}>{problem ?? "Asking what it would do…"}</p>
      ) : (
        <p>{plural(plan.chosen, "job")} would be among the dead letters again, as if never flushed: the next flush tries them again.</p>
      )}
    </Confirm>
  );
}
