"use client";

import { useState } from "react";

import { ReadPanel } from "@/components/ReadPanel";
import { Button } from "@/components/ui/Button";
import { More } from "@/components/ui/More";
import { Time } from "@/components/ui/Time";
import { useApi } from "@/hooks/useApi";
import type { Schemas } from "@/lib/api";
import { count, UNKNOWN } from "@/lib/format";

import { Drop, Requeue } from "./DeadAction";
import styles from "./Dead.module.css";

type Letter = Schemas["DeadLetter"];

const POLL_MS = 10_000;
const FIRST = 10;

/** One dead letter a line, the last to die first; each opens to its traceback. */
export function DeadLetters() {
  const [limit, setLimit] = useState(FIRST);
  const page = useApi<Schemas["DeadPage"]>(`/ops/dead?limit=${limit}`, POLL_MS);
  const [act, setAct] = useState<{ kind: "requeue" | "drop"; letter: Letter } | null>(null);
  const [said, setSaid] = useState("");
  const asked = act === null ? null : { what: `job ${act.letter.job_id}`, selection: { ids: [act.letter.job_id] } };
  return (
    <>
      <ReadPanel
        title="Dead letters"
        read={page}
        aside={
          <>
            <span role="status">{said}</span>
            <span>{count(page.data?.total)} in all</span>
          </>
        }
        empty={({ dead }) =>
          dead.length === 0 && (
            <p>
              No job has used up its attempts. The handler <code>fail</code> makes one, if you want to see it.
            </p>
          )
        }
      >
        {({ dead }) => (
          <>
            <ol>
              {dead.map((letter) => (
                <LetterRow key={letter.job_id} letter={letter} onAct={(kind) => setAct({ kind, letter })} />
              ))}
            </ol>
            <More shown={dead.length} limit={limit} onMore={setLimit} />
          </>
        )}
      </ReadPanel>
      {asked !== null && act?.kind === "requeue" && <Requeue {...asked} onSaid={setSaid} onClose={() => setAct(null)} />}
      {asked !== null && act?.kind === "drop" && <Drop {...asked} onSaid={setSaid} onClose={() => setAct(null)} />}
    </>
  );
}

function LetterRow({ letter, onAct }: { letter: Letter; onAct: (kind: "requeue" | "drop") => void }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <li>
      <details className={styles.letter} onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>
          <span className={styles.when}>{letter.died_at === null ? UNKNOWN : <Time at={letter.died_at} />}</span>
          <span className={styles.handler}>{letter.handler}</span>
          <span className={styles.error}>{letter.error ?? "no error was recorded"}</span>
        </summary>
        {isOpen && (
          <>
            <LetterStory id={letter.job_id} letter={letter} />
            <p className={styles.acts}>
              <Button onClick={() => onAct("requeue")}>Requeue…</Button>
              <Button tone="grave" onClick={() => onAct("drop")}>
                Drop…
              </Button>
            </p>
          </>
        )}
      </details>
    </li>
  );
}

/** What more is known of one: it is read when it is opened, and once. */
export function LetterStory({ id, letter }: { id: string; letter: Letter }) {
  const story = useApi<Schemas["DeadLetterStory"]>(`/ops/dead/${encodeURIComponent(id)}`, 0);
  return (
    <div className={styles.story}>
      <p className={styles.quiet}>
        job <code>{id}</code> of queue {letter.queue}; attempts {count(letter.attempts)}, lost workers {count(letter.losses)}, flushed{" "}
        {count(letter.flushes)} ×{letter.is_foreign && "; the attached app's own job"}
      </p>
      {story.data === undefined ? (
        <p aria-busy={story.error === undefined}>{story.error?.message ?? "Asking for its traceback…"}</p>
      ) : story.data.trace === null ? (
        <p>No traceback was kept.</p>
      ) : (
        <pre className={styles.trace} role="region" tabIndex={0} aria-label="Traceback">
          {story.data.trace}
        </pre>
      )}
    </div>
  );
}
