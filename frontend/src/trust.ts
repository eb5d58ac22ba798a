// Trusted types (https://www.w3.org/TR/trusted-types/): the page makes no script and no markup from texts. The one default
// policy lets the browser load this server's own workers, and nothing else.

interface TrustedTypes {
  createPolicy(name: "default", rules: { createScriptURL(address: string): string }): unknown;
}

/** Call it before the first worker is made. */
export function allowOwnScripts(): void {
  const { trustedTypes } = window as { trustedTypes?: TrustedTypes };
  trustedTypes?.createPolicy("default", {
    createScriptURL(address) {
      const { origin } = new URL(address, location.href);
      if (origin !== location.origin) throw new TypeError("Scripts come from this server only");
      return address;
    },
  });
}
