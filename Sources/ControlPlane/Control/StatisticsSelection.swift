// SPDX-License-Identifier: Apache-2.0

/// The part of the statistics that somebody asked for.
public struct StatisticsSelection: Equatable, Sendable {
    private var lun: (target: String, number: Int)?
    /// A TSIH, or an initiator's name.
    private var session: String?

    /// `lun`: `TARGET/LUN`; `session`: a TSIH or an initiator's name; nil asks for all.
    public init(lun: String?, session: String?) throws(Failure) {
        if let lun { self.lun = try Self.lun(lun) }
        if let session {
            guard !session.isEmpty else {
                throw .usage("--session is empty: write a TSIH or an initiator's name, as martlet sessions tells them")
            }
            self.session = session
        }
    }

    public static func == (left: StatisticsSelection, right: StatisticsSelection) -> Bool {
        left.lun?.target == right.lun?.target && left.lun?.number == right.lun?.number && left.session == right.session
    }

    private static func lun(_ text: String) throws(Failure) -> (target: String, number: Int) {
        guard let slash = text.lastIndex(of: "/"), slash != text.startIndex,
            let number = Int(text[text.index(after: slash)...]), (0...Configuration.maximumLUN).contains(number)
        else {
            throw .usage("--lun \"\(text)\" is no LUN: write TARGET/LUN, such as \(Configuration.defaultTargetName)/0")
        }
        return (String(text[..<slash]), number)
    }

    /// What of `report` was asked for. What is not there is a failure that names it.
    public func apply(to report: StatisticsReport) throws(Failure) -> StatisticsReport {
        guard lun != nil || session != nil else { return report }
        var selected = report
        selected.luns = report.luns.filter { $0.target == lun?.target && $0.lun == lun?.number }
        selected.sessions = report.sessions.filter { $0.initiator == session || "\($0.tsih)" == session }
        if let lun, selected.luns.isEmpty {
            throw .runTime("the server has no LUN \(lun.target)/\(lun.number): martlet luns lists what there is")
        }
        if let session, selected.sessions.isEmpty {
            throw .runTime("the server has no session \(session): martlet sessions lists those that are logged in")
        }
        return selected
    }
}
