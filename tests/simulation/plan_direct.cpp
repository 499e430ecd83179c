#include "plan_parts.h"

namespace godwit::sim {

void choose_direct(Plan& plan, Random& random) {
    if (plan.pairing == Pairing::godwit_to_godwit && random.percent(20)) {
        add_direct(plan, random);
    }
}

void add_direct(Plan& plan, Random& random) {
    plan.link.bidirectional = true;
    DirectPlan& direct = plan.link.direct;
    direct.offered = true;
    direct.chunk_pages = random.spread(1, 16);
    direct.late_percent = random.percent(30) ? 100 : static_cast<unsigned>(random.below(101));
    direct.forget_percent = random.percent(50) ? 0 : static_cast<unsigned>(random.below(60));
    plan.parameters.rdma_pin_all = random.percent(30);
}

void add_direct_failure(Plan& plan, Random& random) {
    DirectPlan& direct = plan.link.direct;
    switch (random.below(3)) {
        case 0:
            plan.parameters.rdma_pin_all = true;
            direct.source_cannot_pin = true;
            break;
        case 1:
            plan.parameters.rdma_pin_all = true;
            direct.pin_limit_pages = random.below(40);
            break;
        default:
            direct.failing_registration = random.between(1, 5);
            break;
    }
}

std::string Plan::describe_direct() const {
    if (!direct()) {
        return "";
    }
    std::string text = fmt::format(", pages past the stream in chunks of {}{}", link.direct.chunk_pages,
                                   parameters.rdma_pin_all ? ", all pinned" : "");
    if (link.direct.source_cannot_pin) {
        text += ", the source cannot pin";
    }
    if (link.direct.pin_limit_pages) {
        text += fmt::format(", the destination may pin {} pages", *link.direct.pin_limit_pages);
    }
    if (link.direct.failing_registration != 0) {
        text += fmt::format(", registration {} fails", link.direct.failing_registration);
    }
    return text;
}

}  // namespace godwit::sim
