// SPDX-License-Identifier: Apache-2.0

internal import FlyingFox
internal import Foundation

/// What the control socket and the metrics port answer to.
enum ControlRoutes {
    static let statusPath = "/v1/status"
    static let sessionsPath = "/v1/sessions"
    static let lunsPath = "/v1/luns"
    static let reservationsPath = "/v1/reservations"
    static let statisticsPath = "/v1/stats"
    static let statisticsResetPath = "/v1/stats/reset"
    static let metricsPath = "/metrics"

    typealias Route = (route: HTTPRoute, handler: any HTTPHandler)

    static func control(_ source: any StatusSource) -> [Route] {
        metrics(source) + [
            json(statusPath, source) { JSON.data($0.status) },
            json(sessionsPath, source) { JSON.data($0.sessions) },
            json(lunsPath, source) { JSON.data($0.luns) },
            json(reservationsPath, source) { JSON.data($0.reservations) },
            answer(.GET, statisticsPath, type: jsonType) { JSON.data(await source.statistics(.call)) },
            answer(.POST, statisticsResetPath, type: jsonType) { JSON.data(await source.statistics(.reset)) },
        ]
    }

    static func metrics(_ source: any StatusSource) -> [Route] {
        [
            answer(.GET, metricsPath, type: OpenMetrics.contentType) {
                Data(OpenMetrics.text(await source.report(), await source.statistics(.look)).utf8)
            }
        ]
    }

    private static let jsonType = "application/json"

    private static func json(
        _ path: String, _ source: any StatusSource, _ part: @escaping @Sendable (ServerReport) -> Data
    ) -> Route {
        answer(.GET, path, type: jsonType) { part(await source.report()) }
    }

    private static func answer(
        _ method: HTTPMethod, _ path: String, type: String, _ body: @escaping @Sendable () async -> Data
    ) -> Route {
        let handler = ClosureHTTPHandler { _ in
            HTTPResponse(statusCode: .ok, headers: [.contentType: type], body: await body())
        }
        return (HTTPRoute(methods: [method], path: path), handler)
    }
}
