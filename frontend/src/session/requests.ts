// What the state machine asks of the REST API, and the answers.

import type { Query } from "../realtime/effects.ts";
import { type Api, bodyOf } from "./http.ts";

/** The answer's body. Throws a `Problem`. */
export function answerTo(api: Api, query: Query): Promise<unknown> {
  switch (query.do) {
    case "page": {
      const { roomId, before, after, around, limit } = query.request;
      const place = {
        ...(before !== null && { before }),
        ...(after !== null && { after }),
        ...(around !== null && { around }),
      };
      return bodyOf(
        api.GET("/api/chat/rooms/{room}/messages", {
          params: { path: { room: roomId }, query: { limit, ...place } },
        }),
      );
    }
    case "members": {
      const { roomId, cursor, limit } = query.request;
      return bodyOf(
        api.GET("/api/chat/rooms/{room}/members", {
          params: {
            path: { room: roomId },
            query: { limit, ...(cursor !== null && { cursor: Number(cursor) }) },
          },
        }),
      );
    }
    case "pins": {
      const { roomId, cursor, limit } = query.request;
      return bodyOf(
        api.GET("/api/chat/rooms/{room}/pins", {
          params: {
            path: { room: roomId },
            query: { limit, ...(cursor !== null && { cursor: Number(cursor) }) },
          },
        }),
      );
    }
    case "room":
      return bodyOf(api.GET("/api/chat/rooms/{room}", { params: { path: { room: query.request.roomId } } }));
    case "people":
      return bodyOf(api.GET("/api/users", { params: { query: { ids: query.request.ids } } }));
    case "online":
      return bodyOf(api.GET("/api/users/online", { params: { query: { ids: query.request.ids } } }));
  }
}
