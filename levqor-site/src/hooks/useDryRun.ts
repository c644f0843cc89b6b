"use client";

import { useEffect, useState } from "react";

import { useSession } from "@/hooks/useSession";
import { change } from "@/lib/api";

interface DryRun<T> {
  plan: T | undefined;
  /** Why there is no plan. */
  problem: string | undefined;
}

/** Asks what a change would do, once for each `body`; nothing is changed by it. */
export function useDryRun<T>(path: string, body: object): DryRun<T> {
  const csrf = useSession().data?.csrf ?? null;
  const asked = JSON.stringify({ ...body, dry_run: true });
  const [found, setFound] = useState<DryRun<T> & { asked: string }>();
  useEffect(() => {
    let isGone = false;
    const take = (answer: DryRun<T>) => {
      if (!isGone) setFound({ ...answer, asked });
    };
    change<T>("POST", path, JSON.parse(asked), csrf).then(
      (plan) => take({ plan, problem: undefined }),
      (error: unknown) => take({ plan: undefined, problem: error instanceof Error ? error.message : "there is no plan" }),
    );
    return () => {
      isGone = true;
    };
  }, [path, asked, csrf]);
  return found?.asked === asked ? found : { plan: undefined, problem: undefined };
}
