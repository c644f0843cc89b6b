"use client";

import { useState } from "react";

import { ReadPanel } from "@/components/ReadPanel";
import { Button } from "@/components/ui/Button";
import { Cell, Table } from "@/components/ui/Table";
import { Time } from "@/components/ui/Time";
import { useApi } from "@/hooks/useApi";
import type { Schemas } from "@/lib/api";
import { count, plural, UNKNOWN } from "@/lib/format";
import { groupText } from "@/lib/incidents";

import { Drop, Requeue, type Selection } from "./DeadAction";
import styles from "./Dead.module.css";

type Group = Schemas["DeadGroup"];
type Act = { kind: "requeue" | "drop"; what: string; selection: Selection };

const POLL_MS = 5000;
const MOST_ROWS = 200;

/** Dead letters by what killed them: a group is one mistake, and is dealt with as one. */
export function DeadGroups() {
  const groups = useApi<Schemas["DeadGroups"]>("/ops/dead?group=true", POLL_MS);
  const [act, setAct] = useState<Act | null>(null);
  const [said, setSaid] = useState("");
  const total = groups.data?.total ?? 0;
  const everything: Selection = { all: true };
  return (
    <>
      <ReadPanel
        title="Dead letters by exception"
        read={groups}
        aside={
          <>
            <span role="status">{said}</span>
            {total > 0 && (
              <Button onClick={() => setAct({ kind: "requeue", what: `all ${plural(total, "dead letter")}`, selection: everything })}>Requeue all…</Button>
            )}
          </>
        }
        empty={({ groups: found }) => found.length === 0 && <p>None: every job finished or is still tried.</p>}
      >
        {({ groups: found, unseen }) => (
          <>
            <Table label="Dead letters by exception" head={["jobs", "exception", "function", "oldest", "newest", ""]}>
              {found.slice(0, MOST_ROWS).map((group) => (
                <GroupRow key={`${group.handler}\n${group.error_class}\n${group.is_foreign}`} group={group} onAct={setAct} />
              ))}
            </Table>
            {found.length > MOST_ROWS && <p>and {plural(found.length - MOST_ROWS, "smaller group")}</p>}
            {unseen > 0 && <p>{count(unseen)} more are not looked at yet.</p>}
          </>
        )}
      </ReadPanel>
      {act?.kind === "requeue" && <Requeue {...act} onSaid={setSaid} onClose={() => setAct(null)} />}
      {act?.kind === "drop" && <Drop {...act} onSaid={setSaid} onClose={() => setAct(null)} />}
    </>
  );
}

function GroupRow({ group, onAct }: { group: Group; onAct: (act: Act) => void }) {
  const selection: Selection = { handler: group.handler, error: group.error_class, foreign: group.is_foreign };
  const what = groupText(group);
  return (
    <tr>
      <Cell of="jobs">
        <strong>{count(group.count)}</strong>
      </Cell>
      <Cell of="exception">{group.error_class}</Cell>
      <Cell of="function">
        {group.handler}
        {group.is_foreign && " (the attached app's)"}
      </Cell>
      <Cell of="oldest">{group.oldest === null ? UNKNOWN : <Time at={group.oldest} />}</Cell>
      <Cell of="newest">{group.newest === null ? UNKNOWN : <Time at={group.newest} />}</Cell>
      <td className={styles.acts}>
        <Button aria-label={`Requeue… ${what}`} onClick={() => onAct({ kind: "requeue", what, selection })}>
          Requeue…
        </Button>
        <Button aria-label={`Drop… ${what}`} tone="grave" onClick={() => onAct({ kind: "drop", what, selection })}>
          Drop…
        </Button>
      </td>
    </tr>
  );
}
