/** Builds the bench page and serves it. */
export function serve(): Promise<{ url: string; close(): Promise<void> }>;
