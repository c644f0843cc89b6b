"use client";

import useSWR from "swr";

import { ApiError, get, LostConnection } from "@/lib/api";

const STALE_AFTER_PERIODS = 3;

interface Stamped<T> {
  value: T;
  receivedAt: number;
}

export interface Read<T> {
  /** The last answer, however old. */
  data: T | undefined;
  /** Why the last question had no answer. */
  error: ApiError | LostConnection | undefined;
  isLoading: boolean;
  /** Epoch milliseconds of the last answer; 0 before the first. */
  receivedAt: number;
  /** Is the last answer older than three polls at this moment? */
  isStaleAt: (now: number) => boolean;
  refresh: () => Promise<void>;
}

async function stamped<T>(path: string): Promise<Stamped<T>> {
  const value = await get<T>(path);
  return { value, receivedAt: Date.now() };
}

/** Polls one route of the API; null asks nothing. The last answer stays while the connection is lost. */
export function useApi<T>(path: string | null, periodMs = 5000): Read<T> {
  const { data, error, isLoading, mutate } = useSWR<Stamped<T>, ApiError | LostConnection>(path, stamped<T>, {
    refreshInterval: periodMs,
    dedupingInterval: 500,
    keepPreviousData: true,
    // Polling stops at an error; the retry goes on in its place, without a back-off that would hide a recovery for minutes.
    onErrorRetry: (_error, _path, _config, retry, options) => void setTimeout(() => void retry(options), periodMs),
  });
  const receivedAt = data?.receivedAt ?? 0;
  return {
    data: data?.value,
    error,
    isLoading: isLoading && data === undefined,
    receivedAt,
    isStaleAt: (now) => receivedAt > 0 && now - receivedAt > STALE_AFTER_PERIODS * periodMs,
    refresh: async () => {
      await mutate();
    },
  };
}
