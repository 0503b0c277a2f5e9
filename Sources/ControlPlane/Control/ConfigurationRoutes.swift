// SPDX-License-Identifier: Apache-2.0

internal import FlyingFox
internal import Foundation

/// What the control socket answers about the configuration, and how it is changed there.
enum ConfigurationRoutes {
    static let explainPath = "/v1/explain"
    static let configurationPath = "/v1/configuration"
    static let lunsPath = ControlRoutes.lunsPath

    /// Why something was not done, in JSON.
    struct Refusal: Codable {
        var kind: Int32
        var message: String
    }

    static func routes(_ control: any ConfigurationControl) -> [ControlRoutes.Route] {
        [
            route(.GET, explainPath) { (query, _) throws(Failure) in
                JSON.data(
                    try control.explain(
                        ExplainQuestion(
                            initiatorName: query["initiator"] ?? "", address: query["from"], portal: query["portal"])))
            },
            route(.POST, configurationPath) { (query, body) throws(Failure) in
                guard body.count <= ConfigurationFile.maximumByteCount, let text = String(data: body, encoding: .utf8)
                else { throw .usage("\(query["file"] ?? "the body"): this is no configuration file") }
                return JSON.data(
                    try await control.apply(
                        text: text, file: query["file"] ?? "configuration", isPlan: query["plan"] == "yes"))
            },
            route(.POST, lunsPath) { (query, _) throws(Failure) in
                guard let change = LUNChange(query: query) else {
                    throw .usage("this says nothing of what is to change: give action, target, lun and what it needs")
                }
                return JSON.data(try await control.change(change))
            },
        ]
    }

    /// 400 with the reason for what cannot be done.
    private static func route(
        _ method: HTTPMethod, _ path: String,
        _ answer: @escaping @Sendable ([String: String], Data) async throws(Failure) -> Data
    ) -> ControlRoutes.Route {
        let handler = ClosureHTTPHandler { request in
            let query = Dictionary(request.query.map { ($0.name, $0.value) }) { first, _ in first }
            let body = try await request.bodyData
            do throws(Failure) {
                return response(.ok, try await answer(query, body))
            } catch {
                return response(
                    .badRequest, JSON.data(Refusal(kind: error.kind.rawValue, message: error.description)))
            }
        }
        return (HTTPRoute(methods: [method], path: path), handler)
    }

    private static func response(_ status: HTTPStatusCode, _ body: Data) -> HTTPResponse {
        HTTPResponse(statusCode: status, headers: [.contentType: "application/json"], body: body)
    }
}
