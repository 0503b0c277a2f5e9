// SPDX-License-Identifier: Apache-2.0

internal import Transport

/// What is asked about a configuration, and changed in it.
extension ControlClient {
    public func explain(_ question: ExplainQuestion) throws(Failure) -> ExplainReport {
        var words = [("initiator", question.initiatorName)]
        if let address = question.address { words.append(("from", address.description)) }
        if let portal = question.portal { words.append(("portal", portal.description)) }
        return try ask("GET", ConfigurationRoutes.explainPath, words)
    }

    /// The file at `path` becomes the configuration of the server; `isPlan`: only tells what would change.
    public func apply(path: String, isPlan: Bool) throws(Failure) -> ApplyReport {
        let text = try ConfigurationFile.text(at: path)
        let words = [("file", path), ("plan", isPlan ? "yes" : "no")]
        return try ask("POST", ConfigurationRoutes.configurationPath, words, body: Array(text.utf8))
    }

    public func change(_ change: LUNChange) throws(Failure) -> ApplyReport {
        try ask("POST", ConfigurationRoutes.lunsPath, change.query)
    }

    private func ask<Value: Decodable>(
        _ method: String, _ path: String, _ words: [(String, String)], body: [UInt8] = []
    ) throws(Failure) -> Value {
        let query = words.map { "\($0.0)=\(PortGroupChange.escaped($0.1))" }.joined(separator: "&")
        let response = HTTPClientResponse(try exchange(method, "\(path)?\(query)", body: body))
        if let response, response.statusCode == HTTPClientResponse.badRequest,
            let refusal = JSON.decode(ConfigurationRoutes.Refusal.self, from: response.body)
        {
            throw Failure(Failure.Kind(rawValue: refusal.kind) ?? .runTime, refusal.message)
        }
        return try decode(try self.body(of: response, to: path), from: path)
    }
}
