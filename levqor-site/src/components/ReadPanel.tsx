"use client";

import type { ReactNode } from "react";

import { Panel } from "@/components/ui/Panel";
import type { Read } from "@/hooks/useApi";
import { useNow } from "@/hooks/useNow";
import { ApiError } from "@/lib/api";

interface Props<T> {
  title: string;
  read: Read<T>;
  aside?: ReactNode;
  className?: string;
  /** What fills the panel, where the answer holds nothing. */
  empty?: (data: T) => ReactNode;
  children: (data: T) => ReactNode;
}

/** A panel over one route of the API, in whichever state its last answer is. What was read as the admin goes with the session. */
export function ReadPanel<T>({ title, read, aside, className, empty, children }: Props<T>) {
  const now = useNow();
  const { data, error } = read;
  const isRefused = error instanceof ApiError && error.needsSignIn;
  if (data === undefined || isRefused) {
    return (
      <Panel
        title={title}
        className={className}
        problem={isRefused ? "Sign in to see this." : error?.message}
        empty={<p aria-busy="true">Asking Levqor…</p>}
      />
    );
  }
  return (
    <Panel title={title} aside={aside} className={className} isStale={read.isStaleAt(now) || error !== undefined} empty={empty?.(data) || undefined}>
      {error !== undefined && <p role="status">Not renewed: {error.message}</p>}
      {children(data)}
    </Panel>
  );
}
