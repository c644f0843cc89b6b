import { Button } from "./Button";

export const PAGE = 50;
/** The API answers no more rows at once. */
export const MOST = 1000;

interface Props {
  shown: number;
  limit: number;
  onMore: (limit: number) => void;
}

/** Under a list that may go on: shows more of it, as far as the API answers in one go. */
export function More({ shown, limit, onMore }: Props) {
  if (shown < limit) return null;
  if (limit >= MOST) return <p>These are the newest {MOST}; the command line shows the others.</p>;
  return (
    <p>
      <Button onClick={() => onMore(Math.min(MOST, limit * 2))}>Show more</Button>
    </p>
  );
}
