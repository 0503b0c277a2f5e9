// SPDX-License-Identifier: Apache-2.0

/// One thing that a handler is tried for, in a process of its own.
struct ConformanceCase: Sendable {
    /// FAMILY.NAME.
    let name: String
    /// What is tried, in a few words.
    let title: String
    /// The handler dies, hangs or fails here without any rule broken that a host would try.
    var isBeyondContract = false
    let body: @Sendable (CaseRun) throws -> Void

    init(
        _ name: String, _ title: String, isBeyondContract: Bool = false,
        _ body: @escaping @Sendable (CaseRun) throws -> Void
    ) {
        self.name = name
        self.title = title
        self.isBeyondContract = isBeyondContract
        self.body = body
    }

    /// In the order in which they run. The first family must pass for the others to be tried at all.
    static let all =
        LoadCases.all + LifeCycleCases.all + AttributeCases.all + DataCases.all + MemoryCases.all + BoundsCases.all
        + CompletionCases.all + ConcurrencyCases.all + RangeCases.all + CompareAndWriteCases.all + ExtensionCases.all
        + ZeroesAndCareCases.all
        + ResizeCases.all + CDBCases.all + FlushCases.all + MannersCases.all

    static func named(_ name: String) -> ConformanceCase? { all.first { $0.name == name } }
}
