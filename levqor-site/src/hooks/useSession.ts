"use client";

import { useCallback } from "react";
import { useSWRConfig } from "swr";

import { type Read, useApi } from "@/hooks/useApi";
import { change, type Schemas } from "@/lib/api";

export type Session = Schemas["Session"];

const PATH = "/auth/session";
const POLL_MS = 60_000;

/** Who looks: what the page may show and change. */
export function useSession(): Read<Session> {
  return useApi<Session>(PATH, POLL_MS);
}

/** Signs in with the admin's token, and out; every panel is read anew after either. */
export function useSignIn(): { signIn: (token: string, name: string) => Promise<void>; signOut: (csrf: string) => Promise<void> } {
  const { mutate } = useSWRConfig();
  const renewAll = useCallback(() => mutate(() => true), [mutate]);
  return {
    signIn: useCallback(
      async (token, name) => {
        await change<Session>("POST", PATH, name === "" ? { token } : { token, name }, null);
        await renewAll();
      },
      [renewAll],
    ),
    signOut: useCallback(
      async (csrf) => {
        await change<void>("DELETE", PATH, undefined, csrf);
        // What only the session could see goes with it.
        await mutate(() => true, undefined, { revalidate: true });
      },
      [mutate],
    ),
  };
}

/** A change in the session's name; every panel is read anew after it. Throws ApiError or LostConnection. */
export function useChange(): <T>(method: "POST" | "PUT" | "DELETE", path: string, body?: unknown) => Promise<T> {
  const session = useSession();
  const { mutate } = useSWRConfig();
  const csrf = session.data?.csrf ?? null;
  return useCallback(
    async <T>(method: "POST" | "PUT" | "DELETE", path: string, body?: unknown) => {
      const answer = await change<T>(method, path, body, csrf);
      await mutate(() => true);
      return answer;
    },
    [csrf, mutate],
  );
}
