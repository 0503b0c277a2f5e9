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
    static let portGroupsPath = "/v1/port-groups"
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
            answer(.GET, portGroupsPath, type: jsonType) { JSON.data(source.portGroups) },
            changePortGroup(source),
        ]
    }

    /// POST with `?group=N&state=S`, and `&device=NAME` for one device alone: answers with the groups that have the
    /// state now; 400 where the query does not say what is to be done, 404 where no device has the group.
    private static func changePortGroup(_ source: any StatusSource) -> Route {
        let handler = ClosureHTTPHandler { request in
            guard let change = PortGroupChange(query: request.query.map { (name: $0.name, value: $0.value) }) else {
                return HTTPResponse(statusCode: .badRequest)
            }
            let groups = source.change(change)
            guard !groups.isEmpty else { return HTTPResponse(statusCode: .notFound) }
            return HTTPResponse(statusCode: .ok, headers: [.contentType: jsonType], body: JSON.data(groups))
        }
        return (HTTPRoute(methods: [.POST], path: portGroupsPath), handler)
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
