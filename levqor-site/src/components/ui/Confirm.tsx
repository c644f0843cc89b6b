"use client";

import { type FormEvent, type ReactNode, useEffect, useId, useRef, useState } from "react";

import { Button } from "./Button";
import styles from "./Confirm.module.css";

interface Props {
  title: string;
  /** What it will do, from a dry run where there is one. */
  children: ReactNode;
  action: string;
  tone?: "primary" | "grave";
  isReady?: boolean;
  onConfirm: () => Promise<void>;
  onClose: () => void;
}

/** Asks before a change, shows what it will do, and stays open with the reason when it is refused. */
export function Confirm({ title, children, action, tone = "primary", isReady = true, onConfirm, onClose }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();
  const [refusal, setRefusal] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);

  useEffect(() => {
    const element = dialog.current;
    if (element !== null && !element.open) element.showModal();
  }, []);

  async function submit(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    setRefusal(null);
    try {
      await onConfirm();
      onClose();
    } catch (error) {
      setRefusal(error instanceof Error ? error.message : "it did not work");
      setBusy(false);
    }
  }

  return (
    <dialog ref={dialog} className={styles.dialog} aria-labelledby={heading} onClose={onClose}>
      <form className={styles.form} onSubmit={(event) => void submit(event)}>
        <h2 id={heading}>{title}</h2>
        <div className={styles.body}>{children}</div>
        {refusal !== null && (
          <p className={styles.refusal} role="alert">
            {refusal}
          </p>
        )}
        <div className={styles.buttons}>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" tone={tone} disabled={isBusy || !isReady}>
            {isBusy ? "Working…" : action}
          </Button>
        </div>
      </form>
    </dialog>
  );
}
